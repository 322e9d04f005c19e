"""Videos of many containers and codecs: which frames are taken, and their pixels."""

import io
import struct
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile

from server.images.decode.video.containers import CONTAINERS
from server.images.decode.video.decode import (
    DecodedVideo,
    VideoMeasure,
    decode_video,
    measure_video,
)
from server.images.decode.video.faults import VideoFailure, VideoFault, VideoOptions
from server.images.decode.video.sampling import FrameSampling
from tests.server.images.decode.video.clips import (
    SIZE,
    encode_animation,
    encode_clip,
    make_grey,
    make_steps,
    read_index,
    repeat_packets,
)

OPTIONS = VideoOptions(
    48, True, 1_000_000, 1_000_000, 86_400.0, tuple(c.name for c in CONTAINERS), 10**9
)
EIGHT = FrameSampling(8, None, 64)
# Of 40 frames, as np.linspace(0, 39, 8).astype(int) has it.
EXPECTED = [0, 5, 11, 16, 22, 27, 33, 39]


def decode(
    data: bytes, sampling: FrameSampling = EIGHT, options: VideoOptions = OPTIONS
) -> DecodedVideo:
    """Return a video that must be accepted, and whose frames are counted alike undecoded."""
    decoded = decode_video(data, options, sampling)
    assert isinstance(decoded, DecodedVideo), decoded
    measure = measure_video(data, options, sampling)
    assert isinstance(measure, VideoMeasure), measure
    assert (measure.num_frames, measure.pixels) == (decoded.num_frames, decoded.pixels)
    assert decoded.views.dtype == np.uint8
    assert decoded.views.shape[1:] == (options.size, options.size, 3)
    return decoded


@pytest.mark.parametrize("key_interval", [1, 7, 100])
@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"),
    [
        ("mp4", "libx264", "yuv420p"),
        ("mp4", "libx265", "yuv420p"),
        ("mp4", "libsvtav1", "yuv420p"),
        ("mp4", "mpeg4", "yuv420p"),
        ("mov", "png", "rgb24"),
        ("mov", "prores_ks", "yuv422p10le"),
        ("matroska", "ffv1", "bgr0"),
        ("matroska", "libx264", "yuv420p"),
        ("webm", "libvpx", "yuv420p"),
        ("webm", "libvpx-vp9", "yuv420p"),
        ("avi", "mpeg4", "yuv420p"),
        ("avi", "mjpeg", "yuvj420p"),
        ("avi", "libx264", "yuv420p"),
        ("mpegts", "libx264", "yuv420p"),
        ("flv", "flv", "yuv420p"),
        ("asf", "wmv2", "yuv420p"),
        ("ivf", "libvpx-vp9", "yuv420p"),
        ("yuv4mpegpipe", "wrapped_avframe", "yuv420p"),
    ],
)
def test_frames_are_found_in_every_container(
    container: str, codec: str, pixel_format: str, key_interval: int
) -> None:
    data = encode_clip(make_steps(40), container, codec, pixel_format, key_interval=key_interval)
    decoded = decode(data)
    assert [read_index(view) for view in decoded.views] == EXPECTED
    assert (decoded.total_frames, decoded.frame_size) == (40, SIZE)


@pytest.mark.parametrize(("container", "codec"), [("mpegts", "mpeg2video"), ("mpeg", "mpeg1video")])
def test_frames_are_found_in_program_and_transport_streams(container: str, codec: str) -> None:
    decoded = decode(encode_clip(make_steps(40), container, codec, "yuv420p", rate=25))
    assert [read_index(view) for view in decoded.views] == EXPECTED


def test_an_mp4_may_begin_as_a_segment() -> None:
    data = encode_clip(make_steps(40), "mp4", "libx264", "yuv420p").replace(b"ftyp", b"styp", 1)
    assert [read_index(view) for view in decode(data).views] == EXPECTED


@pytest.mark.parametrize("count", [1, 2])
def test_boxes_of_others_may_precede_an_mp4(count: int) -> None:
    boxes = [struct.pack(">I4s16sI", 28, b"uuid", b"u" * 16, 7)]
    boxes.append(struct.pack(">I4sQ16s", 1, b"uuid", 32, b"u" * 16))
    fragments = {"movflags": "empty_moov+default_base_moof"}  # it has no offsets from the start
    data = encode_clip(make_steps(40), "mp4", "libx264", "yuv420p", container_options=fragments)
    decoded = decode(b"".join(boxes[:count]) + data)
    assert [read_index(view) for view in decoded.views] == EXPECTED


@pytest.mark.parametrize("clip", ["matroska", "gif"])
def test_frames_are_counted_without_decoding_one(
    clip: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a frame is decoded")

    steps = make_steps(40)
    data = encode_clip(steps) if clip == "matroska" else encode_animation(steps, "GIF")
    monkeypatch.setattr("server.images.decode.video.streams.make_view", refuse)
    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)
    assert decode_video(data, OPTIONS, EIGHT) == VideoFailure(VideoFault.CORRUPT)
    assert measure_video(data, OPTIONS, EIGHT) == VideoMeasure(8, SIZE)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_animations_are_videos(image_format: str) -> None:
    decoded = decode(encode_animation(make_steps(40), image_format))
    assert [read_index(view) for view in decoded.views] == EXPECTED
    assert decoded.total_frames == 40
    by_time = decode(encode_animation(make_steps(40), image_format), FrameSampling(None, 1.0, 64))
    assert len(by_time.views) == 4


def test_a_picture_for_viewers_without_animation_is_no_frame() -> None:
    still, *frames = map(Image.fromarray, [make_grey(250), *make_steps(4)])
    buffer = io.BytesIO()
    still.save(buffer, "PNG", save_all=True, append_images=frames, default_image=True)
    decoded = decode(buffer.getvalue())
    assert [read_index(view) for view in decoded.views] == [0, 1, 2, 3]
    assert decoded.total_frames == 4


def test_transparent_animations_lie_on_the_background_colour() -> None:
    frames = [Image.new("RGBA", SIZE, (index, 0, 0, 0)) for index in range(2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:])
    decoded = decode(buffer.getvalue(), options=replace(OPTIONS, alpha_color=(1, 2, 3)))
    assert decoded.views[1, 24, 24].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("sampling", "expected"),
    [
        (FrameSampling(3, None, 64), [0, 19, 39]),
        (FrameSampling(1, None, 64), [0]),
        (FrameSampling(None, 1.0, 64), [0, 13, 26, 39]),
        (FrameSampling(None, 0.1, 64), [0]),
        (FrameSampling(2, 1.0, 64), [0, 39]),
        (FrameSampling(2, 1e308, 64), [0, 39]),
        (FrameSampling(None, None, 5), [0, 9, 19, 29, 39]),
        (FrameSampling(100, 50.0, 100), list(range(40))),
    ],
)
def test_sampling(sampling: FrameSampling, expected: list[int]) -> None:
    decoded = decode(encode_clip(make_steps(40)), sampling)
    assert [read_index(view) for view in decoded.views] == expected


def test_lossless_frames_keep_their_pixels() -> None:
    generator = np.random.default_rng(0)
    frames = list(generator.integers(0, 256, (5, 48, 48, 3), np.uint8))
    for container, codec, pixel_format in (("matroska", "ffv1", "bgr0"), ("mov", "png", "rgb24")):
        decoded = decode(encode_clip(frames, container, codec, pixel_format))
        np.testing.assert_array_equal(decoded.views, np.stack(frames))


def test_a_variable_rate_is_sampled_by_frames() -> None:
    times = [index if index < 20 else 20 * index for index in range(40)]
    decoded = decode(encode_clip(make_steps(40), times=times))
    assert [read_index(view) for view in decoded.views] == EXPECTED


@pytest.mark.parametrize("count", [5, 24])
@pytest.mark.parametrize("num_b_frames", [0, 3, 16])
@pytest.mark.parametrize("container", ["asf", "avi", "matroska", "mp4", "mpegts", "mpeg"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video", "mpeg1video"])
def test_frames_are_in_the_order_that_they_are_shown(
    codec: str, container: str, num_b_frames: int, count: int
) -> None:
    """Whether a container has the times when they are shown, or those when they are decoded."""
    num_b_frames = num_b_frames if codec == "libx264" else min(num_b_frames, 7)
    options = {"bf": f"{num_b_frames}", "b_strategy": "0"}
    frames = make_steps(count)
    data = encode_clip(frames, container, codec, "yuv420p", rate=25, codec_options=options)
    decoded = decode(data, FrameSampling(None, None, 24))
    assert [read_index(view) for view in decoded.views] == list(range(count))
    third = decode(data, FrameSampling(3, None, 24))
    expected = np.linspace(0, count - 1, 3).astype(int).tolist()
    assert [read_index(view) for view in third.views] == expected


def test_frames_are_cropped_or_stretched() -> None:
    frame = make_grey(0)
    frame[:, :8] = 255
    data = encode_clip([frame])
    assert decode(data).views.max() == 0
    stretched = VideoOptions(48, False, 10**6, 10, 10.0, OPTIONS.formats, 10**9)
    assert decode(data, options=stretched).views[0, 24, 2].tolist() == [255, 255, 255]


def test_the_first_video_stream_is_taken_beside_sound() -> None:
    decoded = decode(encode_clip(make_steps(40), sound=True))
    assert [read_index(view) for view in decoded.views] == EXPECTED


def test_what_an_edit_list_cuts_off_is_no_part_of_the_video() -> None:
    times = list(range(-20, 20))  # a whole group of frames and some more precede the start
    data = encode_clip(make_steps(40), "mp4", "libx264", "yuv420p", times=times)
    decoded = decode(data, FrameSampling(4, None, 64))
    assert [read_index(view) for view in decoded.views] == [20, 26, 32, 39]
    assert decoded.total_frames == 20


@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts"])
def test_intra_refresh_gives_the_frames_that_were_asked_for(container: str) -> None:
    """With it, pictures form over some frames after each that is marked as a key frame."""
    refresh = {"x264-params": "intra-refresh=1:bframes=0"}
    frames = make_steps(40, (320, 240))
    data = encode_clip(frames, container, "libx264", "yuv420p", codec_options=refresh)
    decoded = decode(data, FrameSampling(None, None, 40))
    assert [read_index(view) for view in decoded.views] == list(range(40))


@pytest.mark.parametrize("key_interval", [3, 5])
@pytest.mark.parametrize("container", ["mp4", "matroska", "mpegts", "flv"])
def test_intra_refresh_may_take_longer_than_from_key_frame_to_key_frame(
    container: str, key_interval: int
) -> None:
    refresh = {"x264-params": f"intra-refresh=1:keyint={key_interval}"}
    frames = make_steps(40, (320, 240))
    data = encode_clip(
        frames, container, "libx264", "yuv420p", key_interval=key_interval, codec_options=refresh
    )
    decoded = decode(data)
    assert [read_index(view) for view in decoded.views] == EXPECTED
    last = decode(data, FrameSampling(2, None, 64))
    assert [read_index(view) for view in last.views] == [0, 39]


def test_a_very_long_video_is_not_decoded_in_full() -> None:
    decoded = decode(repeat_packets(100_000), FrameSampling(4, None, 64))
    assert decoded.total_frames == 100_000
    levels = [int(view[24, 24, 0]) for view in decoded.views]
    expected = [index % 250 for index in (0, 33_333, 66_666, 99_999)]
    np.testing.assert_allclose(levels, expected, atol=3)
    assert decoded.decode_s < 10
