"""Videos that are damaged, cut short, too large or none: refused, with the reason."""

import random
import struct
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from server.images.decode.video.decode import DecodedVideo, decode_video
from server.images.decode.video.faults import VideoFailure, VideoFault, VideoOptions
from tests.server.images.decode.video.clips import (
    SIZE,
    encode_animation,
    encode_clip,
    encode_sound,
    make_steps,
    mux_pictures,
    read_index,
    repeat_packets,
)
from tests.server.images.decode.video.test_decode import EIGHT, EXPECTED, OPTIONS
from tests.server.pictures import encode_image, make_noise

MATROSKA = encode_clip(make_steps(40))
MP4 = encode_clip(make_steps(40), "mp4", "libx264", "yuv420p")


def fail(data: bytes, options: VideoOptions = OPTIONS) -> VideoFailure:
    """Return the failure of a video that must be refused."""
    result = decode_video(data, options, EIGHT)
    assert isinstance(result, VideoFailure)
    return result


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0" * 64,
        b"no video",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"<?xml version='1.0'?><MPD/>",
        b"[playlist]\nFile1=http://example.com/a.mp4\n",
        encode_image(make_noise(8, 8)),
        encode_clip(make_steps(2), "nut"),
        b"\0\0\0\x18uuid" + b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"abcduuid" + b" " * 64,
        b"\0\0\0\x08uuid" * 64,
        (b"\0\0\0\x18uuid" + bytes(16)) * 10_000 + b"\0\0\0\x08ftyp",
    ],
    ids=[
        *("empty", "zeros", "text", "hls", "concat", "dash", "pls", "image", "another container"),
        *("hls behind a box", "text behind a box", "short boxes", "boxes alone"),
    ],
)
def test_what_is_no_video_is_refused(data: bytes) -> None:
    assert fail(data) == VideoFailure(VideoFault.FORMAT)


def test_only_named_containers_are_accepted() -> None:
    assert fail(MATROSKA, replace(OPTIONS, formats=("mp4",))).fault is VideoFault.FORMAT
    assert isinstance(decode_video(MP4, replace(OPTIONS, formats=("mp4",)), EIGHT), DecodedVideo)


def test_only_named_codecs_are_accepted() -> None:
    data = encode_clip(make_steps(2), "mov", "jpeg2000", "rgb24")
    assert fail(data) == VideoFailure(VideoFault.CODEC, codec="jpeg2000")
    nobody_knows = encode_clip(make_steps(2), "avi", "mpeg4", "yuv420p").replace(b"FMP4", b"XY12")
    assert fail(nobody_knows) == VideoFailure(VideoFault.CODEC, codec="unknown")


def test_sound_alone_is_refused() -> None:
    assert fail(encode_sound()) == VideoFailure(VideoFault.NO_VIDEO)


@pytest.mark.parametrize("share", [0.0, 0.2, 0.5, 0.9])
@pytest.mark.parametrize("has_index_first", [False, True])
def test_a_cut_mp4_is_refused(has_index_first: bool, share: float, tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4" if has_index_first else None
    data = encode_clip(make_steps(40), "mp4", "libx264", "yuv420p", fast_start_file=file)
    assert fail(data[: 16 + int(share * (len(data) - 16))]).fault is VideoFault.CORRUPT


def test_a_cut_mp4_is_refused_though_its_first_frame_is_there(tmp_path: Path) -> None:
    file = tmp_path / "clip.mp4"
    data = encode_clip(make_steps(40), "mp4", "libx264", "yuv420p", fast_start_file=file)
    result = decode_video(data[:-100], OPTIONS, replace(EIGHT, num_frames=1))
    assert result == VideoFailure(VideoFault.CORRUPT)


def test_an_empty_sample_is_no_damage() -> None:
    data = bytearray(encode_clip(make_steps(8), "mov", "png", "rgb24"))
    sizes = data.index(b"stsz") + 16  # of the samples, which follow each other
    fourth, fifth = struct.unpack_from(">2I", data, sizes + 3 * 4)
    struct.pack_into(">2I", data, sizes + 3 * 4, fourth + fifth, 0)  # what follows a PNG is ignored
    result = decode_video(bytes(data), OPTIONS, EIGHT)
    assert isinstance(result, DecodedVideo)
    assert [read_index(view) for view in result.views] == [0, 1, 2, 3, 5, 6, 7]


@pytest.mark.parametrize("image_format", ["WEBP", "PNG"])
def test_a_cut_animation_is_refused(image_format: str) -> None:
    data = encode_animation(make_steps(8), image_format)
    assert fail(data[:-20]).fault is VideoFault.CORRUPT


@pytest.mark.parametrize("share", [0.3, 0.5, 0.7])
@pytest.mark.parametrize(
    ("container", "codec"),
    [
        ("mpegts", "libx264"),
        ("mpeg", "mpeg2video"),
        ("matroska", "libx264"),
        ("avi", "mpeg4"),
        ("asf", "wmv2"),
        ("yuv4mpegpipe", "wrapped_avframe"),
        ("gif", "gif"),
    ],
)
def test_a_cut_stream_is_read_as_far_as_it_goes(container: str, codec: str, share: float) -> None:
    frames = [np.asarray(make_noise(*SIZE, seed=index)) // 16 for index in range(40)]
    if container == "gif":
        data = encode_animation(frames, "GIF")
    else:
        data = encode_clip(frames, container, codec, "yuv420p", rate=25)
    result = decode_video(data[: int(share * len(data))], OPTIONS, EIGHT)
    assert isinstance(result, DecodedVideo)
    assert result.total_frames < 40


def test_a_fragmented_mp4_is_cut_unless_between_fragments() -> None:
    options = {"movflags": "empty_moov+default_base_moof+frag_keyframe"}
    frames = make_steps(40)
    data = encode_clip(frames, "mp4", "libx264", "yuv420p", container_options=options)
    third = data.index(b"moof", data.index(b"moof", data.index(b"moof") + 4) + 4) - 4
    result = decode_video(data[:third], OPTIONS, EIGHT)
    assert isinstance(result, DecodedVideo)
    assert 2 < result.total_frames < 40
    assert fail(data[: third - 20]) == VideoFailure(VideoFault.CORRUPT)


@pytest.mark.parametrize(
    ("container", "codec"), [("mpegts", "libx264"), ("mpegts", "mpeg2video"), ("mpeg", "libx264")]
)
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6])
def test_a_stream_may_begin_amid_a_group_of_frames(
    container: str, codec: str, share: float
) -> None:
    """However many they are: FFmpeg looks for a first key frame in some seconds of video only."""
    noise = [np.asarray(make_noise(*SIZE, seed=index)) // 32 for index in range(200)]
    options = {
        "libx264": {"x264-params": "scenecut=0:keyint=200:min-keyint=200:bframes=0"},
        "mpeg2video": {"sc_threshold": "1000000000"},
    }[codec]
    data = encode_clip(
        noise + make_steps(40),
        container,
        codec,
        "yuv420p",
        rate=25,
        key_interval=200,
        codec_options=options,
    )
    start = int(share * len(data))
    start = start // 188 * 188 if container == "mpegts" else data.index(b"\0\0\1\xba", start)
    result = decode_video(data[start:], OPTIONS, EIGHT)
    assert isinstance(result, DecodedVideo), result
    assert (result.total_frames, result.frame_size) == (40, SIZE)
    assert [read_index(view) for view in result.views] == EXPECTED
    too_large = VideoFailure(VideoFault.PIXELS, SIZE)
    assert fail(data[start:], replace(OPTIONS, max_pixels=3000)) == too_large


@pytest.mark.parametrize("container", ["mp4", "matroska", "avi", "mpegts", "flv"])
def test_changed_bytes_never_raise(container: str) -> None:
    codec = {"matroska": "ffv1", "flv": "flv"}.get(container, "libx264")
    pixel_format = "bgr0" if codec == "ffv1" else "yuv420p"
    data = encode_clip(make_steps(20), container, codec, pixel_format)
    generator = random.Random(container)
    for _ in range(40):
        damaged = bytearray(data)
        for _ in range(generator.choice([1, 4, 64])):
            damaged[generator.randrange(len(damaged))] = generator.randrange(256)
        result = decode_video(bytes(damaged), OPTIONS, EIGHT)
        assert isinstance(result, DecodedVideo | VideoFailure)
        if isinstance(result, DecodedVideo):
            assert 1 <= len(result.views) <= 8


def test_frames_beyond_the_limit_are_refused() -> None:
    assert fail(MATROSKA, replace(OPTIONS, max_frames=39)).fault is VideoFault.FRAMES
    gif = encode_animation(make_steps(40), "GIF")
    assert fail(gif, replace(OPTIONS, max_frames=39)).fault is VideoFault.FRAMES


def test_a_video_that_is_too_long_is_refused() -> None:
    data = repeat_packets(2500)
    assert fail(data, replace(OPTIONS, max_s=99.0)).fault is VideoFault.SECONDS
    assert isinstance(decode_video(data, replace(OPTIONS, max_s=101.0), EIGHT), DecodedVideo)


@pytest.mark.parametrize("image_format", ["GIF", "WEBP", "PNG"])
def test_an_animation_that_is_too_long_is_refused(image_format: str) -> None:
    data = encode_animation(make_steps(4), image_format, [500, 1000, 0, 2000])
    duration_s = 3.6  # a frame without a duration takes 0.1 s
    assert fail(data, replace(OPTIONS, max_s=duration_s - 0.01)).fault is VideoFault.SECONDS
    longer = replace(OPTIONS, max_s=duration_s + 0.01)
    assert isinstance(decode_video(data, longer, EIGHT), DecodedVideo)


def test_frames_that_grow_beyond_the_limit_are_refused() -> None:
    data = mux_pictures([make_noise(64, 48), make_noise(400, 300)])
    failure = fail(data, replace(OPTIONS, max_pixels=100_000))
    assert failure == VideoFailure(VideoFault.PIXELS, (400, 300))


@pytest.mark.parametrize("container", ["matroska", "gif"])
def test_large_frames_are_refused_before_decoding(container: str) -> None:
    frames = make_steps(3, (400, 300))
    data = encode_clip(frames) if container == "matroska" else encode_animation(frames, "GIF")
    failure = fail(data, replace(OPTIONS, max_pixels=100_000))
    assert failure == VideoFailure(VideoFault.PIXELS, (400, 300))


def test_frames_that_are_too_oblong_are_refused() -> None:
    data = encode_clip(make_steps(2, (16, 8000)))
    assert fail(data).fault is VideoFault.SHAPE
    assert isinstance(decode_video(data, replace(OPTIONS, crop=False), EIGHT), DecodedVideo)


def test_a_video_without_duration_has_its_frames() -> None:
    result = decode_video(encode_clip(make_steps(1)), OPTIONS, replace(EIGHT, fps=1.0))
    assert isinstance(result, DecodedVideo)
    assert (len(result.views), result.total_frames) == (1, 1)


@pytest.mark.parametrize("kind", ["matroska", "gif"])
def test_too_many_pixels_together_are_refused_before_they_are_decoded(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = MATROSKA if kind == "matroska" else encode_animation(make_steps(40), "GIF")
    wanted = 8 * SIZE[0] * SIZE[1]
    enough = replace(OPTIONS, max_total_pixels=wanted)
    assert isinstance(decode_video(data, enough, EIGHT), DecodedVideo)
    for place in ("streams.read_frames", "animation._read_frames"):
        monkeypatch.setattr(f"server.images.decode.video.{place}", None)
    failure = fail(data, replace(OPTIONS, max_total_pixels=wanted - 1))
    assert failure == VideoFailure(VideoFault.TOTAL, SIZE)
