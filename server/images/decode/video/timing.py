"""When each frame of a video is shown, and where decoding for it begins: packets, not decoded."""

from array import array
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, islice, pairwise
from typing import Final

from av.container import InputContainer
from av.packet import Packet
from av.video.stream import VideoStream

# Times of frames are in the stream's own units.
UNKNOWN_TIME: Final = -(2**63)


@dataclass(slots=True)
class Packets:
    """A stream's packets in the order of the file: when each is shown, and its flags."""

    shown: "array[int]" = field(default_factory=lambda: array("q"))
    is_key: bytearray = field(default_factory=bytearray)
    is_hidden: bytearray = field(default_factory=bytearray)

    def __len__(self) -> int:
        return len(self.shown)

    def append(self, packet: "Packet[VideoStream]") -> None:
        """Add a packet."""
        self.shown.append(UNKNOWN_TIME if packet.pts is None else packet.pts)
        self.is_key.append(packet.is_keyframe)
        self.is_hidden.append(packet.is_discard)

    @property
    def have_times(self) -> bool:
        """Whether each frame has a time of its own."""
        return UNKNOWN_TIME not in self.shown and len(set(self.shown)) == len(self.shown)

    @property
    def are_ascending(self) -> bool:
        """Whether times ascend in the file's order, which is the order of decoding."""
        return all(earlier <= later for earlier, later in pairwise(self.shown))


@dataclass(frozen=True, slots=True)
class Target:
    """A frame to decode: its time, and the packet of the key frame that decoding it begins with."""

    time: int
    first_packet: int
    can_start_earlier: bool


class FrameTable:
    """A video's frames in the order that they are shown.

    What precedes the first key frame cannot be decoded. Without times, a frame's time is its
    index, and decoding begins with the first key frame.
    """

    def __init__(self, packets: Packets, *, trusts_times: bool = True) -> None:
        """`trusts_times` is false where the packets' times are the order of decoding."""
        keys = [number for number, is_key in enumerate(packets.is_key) if is_key]
        self._packets = packets
        self.has_times = trusts_times and bool(keys) and packets.have_times
        self._first_packet = keys[0] if keys else 0
        self._keys = keys if self.has_times else []
        # A later key frame is shown earlier only in damaged files.
        self._key_times = list(accumulate((packets.shown[key] for key in self._keys), max))
        self._times = self._sort_times(packets)

    @property
    def needs_check(self) -> bool:
        """Whether the times may be decoding times.

        AVI, ASF and others may have only these. They differ from presentation times where the codec
        reorders frames.
        """
        return self.has_times and self._packets.are_ascending

    def without_times(self) -> "FrameTable":
        """Return the same frames, counted."""
        return FrameTable(self._packets, trusts_times=False)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def span(self) -> int:
        """The time from the first frame to the last, in the stream's units."""
        return self._times[-1] - self._times[0] if self._times else 0

    def find(self, indices: Sequence[int], keys_earlier: int = 0) -> list[Target]:
        """Return frames by their indices, in ascending order.

        Decoding them begins with the last key frame before each, or with so many before that.
        """
        return [self._find(self._times[index], keys_earlier) for index in indices]

    def _sort_times(self, packets: Packets) -> Sequence[int]:
        """Return the times of all frames but those that need what precedes the first key frame."""
        if not self.has_times:
            is_hidden = packets.is_hidden[self._first_packet :]
            return range(len(is_hidden) - sum(is_hidden))
        visible = zip(packets.shown, packets.is_hidden, strict=True)
        first = self._key_times[0]
        return sorted(time for time, is_hidden in visible if time >= first and not is_hidden)

    def _find(self, time: int, keys_earlier: int) -> Target:
        if not self._keys:
            return Target(time, self._first_packet, can_start_earlier=False)
        key = max(0, bisect_right(self._key_times, time) - 1 - keys_earlier)
        return Target(time, self._keys[key], can_start_earlier=key > 0)


def iterate_packets(
    container: InputContainer, stream: VideoStream
) -> "Iterator[Packet[VideoStream]]":
    """Yield a stream's packets, without the empty one at the end."""
    return (each for each in container.demux(stream) if each.size)


def scan_packets(container: InputContainer, stream: VideoStream, limit: int) -> Packets:
    """Read all packets, at most `limit` + 1 of them."""
    packets = Packets()
    for packet in islice(iterate_packets(container, stream), limit + 1):
        packets.append(packet)
    return packets
