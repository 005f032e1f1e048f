"""Image files as strangers bring them: each is decoded as it says, or refused in one line that says why."""

import lzma
import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from asvit.errors import UserError
from asvit.files import open_regular
from asvit.images import UNREADABLE, as_mode, decode, from_array, load_array, read_image, to_tensor
from asvit.images.arrays import layout

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (6, 9, 3), dtype=np.uint8)
GREYS = COLOURS[:, :, :1]
DEEP = RNG.integers(0, 65536, (6, 9, 5), dtype=np.uint16)
ORIENTATION = 0x0112


def values(image) -> np.ndarray:
    """Height x width x channels from 0 to 255."""
    return (to_tensor(image).permute(1, 2, 0).numpy() * 255).round().astype(int)


def picture(pixels: np.ndarray, mode: str | None = None) -> Image.Image:
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    return image if mode is None else image.convert(mode)


def saved(image: Image.Image, **options):
    return lambda path: image.save(path, **options)


def tiff(array: np.ndarray, **options):
    return lambda path: tifffile.imwrite(path, array, **options)


def npy(array: np.ndarray):
    return lambda path: np.save(path, array)


def palette(path: Path) -> None:
    indices = (GREYS[:, :, 0] % 7).astype(np.uint8)
    image = Image.fromarray(indices, "P")
    image.putpalette(COLOURS.reshape(-1, 3)[:256].tobytes())
    image.save(path)


def raw(name: str, content: bytes):
    return name, lambda path: path.write_bytes(content)


def entry(code: int, kind: int, count: int, value: int) -> bytes:
    return struct.pack("<HHII", code, kind, count, value)


def one_strip(strip: bytes, compression: int, *, bits: int = 8, said: int | None = None) -> bytes:
    """A TIFF file in colour of 9x6 pixels whose strip is given, or said to be of another length."""
    entries = [
        *(entry(256, 4, 1, 9), entry(257, 4, 1, 6), entry(258, 3, 1, bits), entry(259, 3, 1, compression)),
        *(entry(262, 3, 1, 2), entry(273, 4, 1, 122), entry(277, 3, 1, 3), entry(278, 4, 1, 6)),
        entry(279, 4, 1, len(strip) if said is None else said),
    ]
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + b"".join(entries) + bytes(4) + strip


def packed(packer, mebibytes: int) -> bytes:
    """So many zeros, which are few bytes then."""
    return b"".join(packer.compress(bytes(2**20)) for _ in range(mebibytes)) + packer.flush()


def lzw(content: bytes) -> bytes:
    """LZW of codes of 9 bits, which begins anew before there would be longer ones."""
    codes = [code for at in range(0, len(content), 200) for code in (256, *content[at : at + 200])] + [257]
    bits = "".join(f"{code:09b}" for code in codes)
    return bytes(int(bits[at : at + 8].ljust(8, "0"), 2) for at in range(0, len(bits), 8))


PALETTE = COLOURS.reshape(-1, 3)[GREYS[:, :, 0] % 7]
BITS = (GREYS > 127).astype(np.uint8) * 255

DECODED = {
    "a picture in colour": ("x.png", saved(picture(COLOURS)), 3, COLOURS),
    "a JPEG called jfif": ("x.jfif", saved(picture(np.full((8, 8, 3), 90, np.uint8)), format="JPEG"), 3, 90),
    "a JPEG called JPE": ("x.JPE", saved(picture(np.full((8, 8, 3), 90, np.uint8)), format="JPEG"), 3, 90),
    "a WebP called png": ("x.png", saved(picture(COLOURS), format="WEBP", lossless=True), 3, COLOURS),
    "a PNG called jpg": ("x.jpg", saved(picture(COLOURS), format="PNG"), 3, COLOURS),
    "a bitmap of two colours": ("x.pbm", saved(picture(BITS, "1")), 1, BITS),
    "a palette with transparency": ("x.gif", palette, 3, PALETTE),
    "LZW": ("x.tif", saved(picture(COLOURS), compression="tiff_lzw"), 3, COLOURS),
    "LZW with differences": ("x.tif", saved(picture(COLOURS), compression="tiff_lzw", tiffinfo={317: 2}), 3, COLOURS),
    "deflate": ("x.tif", saved(picture(COLOURS), compression="tiff_adobe_deflate"), 3, COLOURS),
    "deflate by tifffile": ("x.tif", tiff(COLOURS, compression="zlib", predictor=True), 3, COLOURS),
    "packbits": ("x.tif", saved(picture(COLOURS), compression="packbits"), 3, COLOURS),
    "fax of two colours": ("x.tif", saved(picture(BITS, "1"), compression="group4"), 1, BITS),
    "two colours": ("x.tif", saved(picture(BITS, "1")), 1, BITS),
    "TIFF palette": ("x.tif", palette, 3, PALETTE),
    "white is 0": ("x.tif", tiff(255 - GREYS[:, :, 0], photometric="miniswhite"), 1, GREYS),
    "white is 0, 16 bits": (
        *("x.tif", tiff(65535 - GREYS[:, :, 0].astype(np.uint16) * 257, photometric="miniswhite")),
        *(1, GREYS),
    ),
    "planes of colours": (
        *("x.tif", tiff(COLOURS.transpose(2, 0, 1), photometric="rgb", planarconfig="separate")),
        *(3, COLOURS),
    ),
    "planes of five channels": ("x.tif", tiff(DEEP.transpose(2, 0, 1), photometric="minisblack"), 5, DEEP // 257),
    "five channels": ("x.tif", tiff(DEEP, photometric="minisblack", planarconfig="contig"), 5, DEEP // 257),
    "five channels as pages": (
        *("x.tif", tiff(np.stack([DEEP] * 1)[0].transpose(2, 0, 1), photometric="minisblack", metadata=None)),
        *(5, DEEP // 257),
    ),
    "an ImageJ stack": ("x.tif", tiff(DEEP.transpose(2, 0, 1), imagej=True, metadata={"axes": "CYX"}), 5, DEEP // 257),
    "OME": ("x.ome.tif", tiff(DEEP.transpose(2, 0, 1), ome=True, metadata={"axes": "CYX"}), 5, DEEP // 257),
    "BigTIFF, big-endian": ("x.tif", tiff(COLOURS, bigtiff=True, byteorder=">", photometric="rgb"), 3, COLOURS),
    "deflate, by hand": (*raw("x.tif", one_strip(zlib.compress(COLOURS.tobytes()), 8)), 3, COLOURS),
    "LZW, by hand": (*raw("x.tif", one_strip(lzw(COLOURS.tobytes()), 5)), 3, COLOURS),
    "tiles": (
        "x.tif",
        tiff(np.tile(COLOURS, (4, 4, 1)), tile=(16, 16), photometric="rgb"),
        3,
        np.tile(COLOURS, (4, 4, 1)),
    ),
    "an array": ("x.npy", npy(COLOURS), 3, COLOURS),
    "an array, channels first": ("x.npy", npy(COLOURS.transpose(2, 0, 1)), 3, COLOURS),
    "an array of two dimensions": ("x.npy", npy(GREYS[:, :, 0]), 1, GREYS),
    "an array in Fortran's order": ("x.npy", npy(np.asfortranarray(COLOURS)), 3, COLOURS),
    "an array, big-endian": ("x.npy", npy(DEEP.astype(">u2")), 5, DEEP // 257),
    "an array of half floats": ("x.npy", npy((COLOURS / 255).astype(np.float16)), 3, COLOURS),
}


@pytest.mark.parametrize("what", DECODED)
def test_decoded_as_the_file_says(tmp_path, what):
    name, make, channels, expected = DECODED[what]
    make(tmp_path / name)
    found = values(read_image(tmp_path / name, channels))
    assert found.shape[2] == channels
    assert np.abs(found - expected).max() <= 1  # 16 bits are rounded


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["x.jpg", "x.png", "x.webp", "lzw.tif", "plain.tif"])
def test_every_orientation_is_undone_in_pictures_and_tiffs_alike(tmp_path, kind, orientation):
    """Stored turned, with the tag that says so, a picture is what it was."""
    stored = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    whole = np.kron(COLOURS[:2, :3], np.ones((16, 16, 1), np.uint8))
    turned = np.ascontiguousarray(stored[orientation](whole))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    if kind == "plain.tif":
        tag = (ORIENTATION, "H", 1, orientation, True)
        tifffile.imwrite(tmp_path / kind, turned, photometric="rgb", extratags=[tag])
    elif kind == "lzw.tif":
        Image.fromarray(turned).save(tmp_path / kind, compression="tiff_lzw", tiffinfo={ORIENTATION: orientation})
    else:
        options = (
            {"quality": 100, "subsampling": 0} if kind == "x.jpg" else {"lossless": True} if kind == "x.webp" else {}
        )
        Image.fromarray(turned).save(tmp_path / kind, exif=exif, **options)
    found = values(read_image(tmp_path / kind, 3))
    assert found.shape == whole.shape
    assert np.abs(found - whole.astype(int)).max() <= (3 if kind == "x.jpg" else 0)


def test_an_opened_picture_is_turned_as_a_file_is(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    picture(COLOURS).save(tmp_path / "x.png", exif=exif)
    with Image.open(tmp_path / "x.png") as image:
        once = as_mode(image, "RGB")
    assert once.size == (6, 9)
    assert np.array_equal(values(as_mode(once, "RGB")), np.rot90(COLOURS, -1))


def test_damaged_exif_data_leave_a_picture_as_it_is(tmp_path):
    picture(COLOURS).save(tmp_path / "x.png", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + bytes(40))
    assert np.array_equal(values(read_image(tmp_path / "x.png", 3)), COLOURS)


def header_only(name: str, dtype: str, shape: tuple[int, ...]):
    """A ``.npy`` file that promises numbers and has none."""

    def make(path: Path) -> None:
        with open(path, "wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})

    return name, make


def big_png(path: Path) -> None:
    """13,000 x 13,000 pixels, declared; the check comes before a byte is decoded."""
    content = BytesIO()
    Image.new("L", (2, 2)).save(content, "PNG")
    old = content.getvalue()
    head = b"IHDR" + struct.pack(">II", 13000, 13000) + old[24:29]
    path.write_bytes(old[:8] + old[8:12] + head + struct.pack(">I", zlib.crc32(head)) + old[33:])


def made_tiff(width: int, height: int, next_page: int = 0, samples: int = 1) -> bytes:
    entries = [
        entry(256, 4, 1, width),
        entry(257, 4, 1, height),
        entry(258, 3, 1, 8),
        entry(259, 3, 1, 1),
        entry(262, 3, 1, 1),
        entry(273, 4, 1, 8),
        entry(277, 3, 1, samples),
        entry(278, 4, 1, height),
        entry(279, 4, 1, min(width * height * samples, 2**32 - 1)),
    ]
    return (
        b"II*\0"
        + struct.pack("<I", 8)
        + struct.pack("<H", len(entries))
        + b"".join(entries)
        + struct.pack("<I", next_page)
    )


def pipe(path: Path) -> None:
    os.mkfifo(path)


def pages_of_lzw(path: Path) -> None:
    first, *more = [Image.fromarray(DEEP[:, :, i]) for i in range(5)]
    first.save(path, compression="tiff_lzw", save_all=True, append_images=more)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
FLOATS = np.ones((6, 9, 3), np.float32)

REFUSED = {
    "EPS called png": (*raw("x.png", POSTSCRIPT), 3, "cannot identify"),
    "EPS called tif": (*raw("x.tif", POSTSCRIPT), 3, "no TIFF file"),
    "text": (*raw("x.jpg", b"hello"), 3, "cannot identify"),
    "nothing": (*raw("x.jpg", b""), 3, "cannot identify"),
    "HTML, as from a failed download": (*raw("x.jpg", b"<!DOCTYPE html><html></html>"), 3, "cannot identify"),
    "PDF": (*raw("x.png", b"%PDF-1.4\n%%EOF"), 3, "cannot identify"),
    "an icon called png": (*raw("x.png", b"\0\0\1\0\1\0" + bytes(40)), 3, "cannot identify"),
    "SVG": (*raw("x.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>"), 3, "cannot identify"),
    "a pointer of Git LFS": (*raw("x.png", b"version https://git-lfs.github.com/spec/v1\n"), 3, "cannot identify"),
    "a huge PNG": ("x.png", big_png, 3, "13000x13000x3, 507,000,000 values: at most 268,435,456"),
    "a huge PPM": (*raw("x.ppm", b"P6 100000 100000 255\n"), 3, "pixels|values"),
    "a huge BMP": (
        *raw("x.bmp", b"BM" + struct.pack("<IHHIIiiHH", 54, 0, 0, 54, 40, 60000, 60000, 1, 24) + bytes(24)),
        *(3, "pixels|values"),
    ),
    "one pixel": ("x.png", saved(picture(COLOURS[:1, :1])), 3, "1x1 pixels: too small"),
    "a picture of floats": ("x.tiff", saved(Image.new("F", (9, 6), 300.0)), 1, "300 to 300 seen"),
    "a floating-point map": (*raw("x.ppm", b"Pf 2 2 -1.0\n" + bytes(16)), 3, "floats"),
    "a folder": ("x.png", Path.mkdir, 3, "Is a directory"),
    "a pipe": ("x.png", pipe, 3, "no regular file"),
    "a pipe of arrays": ("x.npy", pipe, 3, "no regular file"),
    "a link to nothing": ("x.png", lambda path: path.symlink_to("nothing"), 3, "No such file"),
    "a link to itself": ("x.png", lambda path: path.symlink_to(path), 3, "symbolic links"),
    "a link to a device": ("x.png", lambda path: path.symlink_to("/dev/zero"), 3, "no regular file"),
    "a picture for five channels": ("x.png", saved(picture(COLOURS)), 5, "at most three channels"),
    "a huge TIFF": (*raw("x.tif", made_tiff(60000, 60000)), 1, "it is 60000x60000x1, 3,600,000,000 values"),
    "a TIFF of many channels": (*raw("x.tif", made_tiff(4000, 4000, samples=60000)), 1, "values|damaged"),
    "a TIFF whose page is its own next": (*raw("x.tif", made_tiff(4, 4, next_page=8)), 1, "pages form a loop"),
    "a TIFF without a page": (*raw("x.tif", b"II*\0\0\0\0\0"), 1, "no TIFF file, or has no pages"),
    "a TIFF of its header": (*raw("x.tif", b"II*\0\x08\0\0\0"), 1, "no TIFF file, or has no pages"),
    "a TIFF cut off": (*raw("x.tif", made_tiff(40, 40)), 1, "."),
    "few bytes that become many": (
        *raw("x.tif", one_strip(packed(zlib.compressobj(), 70), 8)),
        *(3, "bytes become more than 67,108,864, which its header does not say"),
    ),
    "few bytes that become many, LZMA": (
        *raw("x.tif", one_strip(packed(lzma.LZMACompressor(), 70), 34925)),
        *(3, "bytes become more than 67,108,864"),
    ),
    "strips beyond the file": (
        *raw("x.tif", one_strip(zlib.compress(COLOURS.tobytes()), 8, said=10**6)),
        *(3, "its strips have more bytes than the file"),
    ),
    "colours of 16 bits in LZW": (
        *raw("x.tif", one_strip(lzw(DEEP[:, :, :3].tobytes()), 5, bits=16)),
        *(3, "LZW, RGB, 3 samples of 16 bits, of which 8 bits would be left: .*imagecodecs"),
    ),
    "a PNG called tif": ("x.tif", saved(picture(COLOURS), format="PNG"), 3, "no TIFF file"),
    "LZW of five pages": ("x.tif", pages_of_lzw, 5, "5 pages are stored as LZW.*imagecodecs"),
    "white is 0, floats": ("x.tif", tiff(FLOATS[:, :, 0], photometric="miniswhite"), 1, "its white is 0"),
    "a TIFF of complex numbers": ("x.tif", tiff(FLOATS[:, :, 0].astype(np.complex64)), 1, "."),
    "pages of colours": ("x.tif", tiff(np.stack([COLOURS] * 2), photometric="rgb"), 3, "not of height x width"),
    "a TIFF of other channels": ("x.tif", tiff(DEEP, photometric="minisblack", planarconfig="contig"), 3, "3 channels"),
    "pickled objects": ("x.npy", lambda path: np.save(path, np.array([object()]), allow_pickle=True), 3, "of object"),
    "an array of text": ("x.npy", npy(np.array([["a"]])), 3, "expected numbers"),
    "an array of truth values": ("x.npy", npy(GREYS > 3), 1, "array of bool"),
    "complex numbers": ("x.npy", npy(FLOATS.astype(np.complex64)), 3, "complex64"),
    "long floats": ("x.npy", npy(FLOATS.astype(np.longdouble)), 3, "expected numbers"),
    "fields": ("x.npy", npy(np.zeros((2, 2), [("a", "u1")])), 1, "expected numbers"),
    "one dimension": ("x.npy", npy(np.zeros(9, np.uint8)), 1, "not of height x width x channels"),
    "four dimensions": ("x.npy", npy(np.zeros((1, 6, 9, 3), np.uint8)), 3, "not of height x width x channels"),
    "no pixels": ("x.npy", npy(np.zeros((0, 9, 3), np.uint8)), 3, "not of height x width x channels"),
    "an archive of arrays": ("x.npy", lambda path: path.write_bytes(zipped()), 3, "."),
    "a huge array": (*header_only("x.npy", "<f4", (10**6, 10**6, 3)), 3, "3,000,000,000,000 values"),
    "an array beyond 64 bits": (*header_only("x.npy", "|u1", (2**40, 2**40)), 1, "values"),
    "an array that is cut off": (*header_only("x.npy", "|u1", (100, 100, 3)), 3, "promises 30,000 bytes.*, 0 are"),
    "negative sizes": (*header_only("x.npy", "|u1", (-4, -4, 3)), 3, "not of height x width x channels"),
    "a header of brackets": (*raw("x.npy", b"\x93NUMPY\1\0" + struct.pack("<H", 5000) + b"(" * 5000), 3, "."),
    "a header without an end": (*raw("x.npy", b"\x93NUMPY\1\0\xff\xff{"), 3, "."),
    "other channels": ("x.npy", npy(DEEP), 3, "expected numbers of height x width x 3"),
    "other channels, any layout": ("x.npy", npy(np.zeros((32, 48, 200), np.uint8)), 7, "height x width x 7"),
    "floats up to 255": ("x.npy", npy(FLOATS * 255), 3, "float32, 255 to 255 seen.*--value-range 255"),
    "floats below 0": ("x.npy", npy(FLOATS * np.float32([-1, 0, 1])), 3, "-1 to 1 seen.*--value-range=-1:1"),
    "negative whole numbers": ("x.npy", npy(DEEP.astype(np.int16)), 5, r"int16, -\d+ to \d+ seen.*--value-range=-"),
    "int64 up to 249": ("x.npy", npy(COLOURS.astype(np.int64)), 3, r"int64, 0 to 249 seen.*--value-range 249"),
    "int32": ("x.npy", npy(COLOURS.astype(np.int32)), 3, "int32, .*--value-range"),
    "uint32": ("x.npy", npy(COLOURS.astype(np.uint32)), 3, "uint32, .*--value-range"),
    "no number": ("x.npy", npy(FLOATS * np.nan), 3, "not finite"),
    "infinite": ("x.npy", npy(FLOATS * np.inf), 3, "not finite"),
    "one that is infinite": ("x.npy", npy(np.where(COLOURS > 240, np.inf, 0.5)), 3, "not finite"),
    "a TIFF without numbers": ("x.tif", tiff(FLOATS * np.nan, photometric="rgb"), 3, "not finite"),
}  # fmt: skip


def zipped() -> bytes:
    content = BytesIO()
    np.savez(content, COLOURS)
    return content.getvalue()


@pytest.mark.parametrize("what", REFUSED)
def test_refused_in_one_line_that_says_why(tmp_path, what):
    name, make, channels, complaint = REFUSED[what]
    make(tmp_path / name)
    with pytest.raises(UserError, match=complaint) as raised:
        read_image(tmp_path / name, channels)
    assert str(raised.value).startswith(f"cannot read the image {tmp_path / name}: ")
    assert len(str(raised.value).splitlines()) == 1
    assert len(str(raised.value)) < 500


def test_no_more_is_asked_of_a_file_than_there_is(tmp_path):
    """Python would take as much memory as a damaged header says."""
    (tmp_path / "x.png").write_bytes(b"x" * 100)
    with open_regular(tmp_path / "x.png") as file:
        assert file.read(30) == b"x" * 30
        assert file.read(2**60) == b"x" * 70
        assert file.read(2**60) == file.read() == b""
        file.seek(0)
        assert len(file.read()) == 100


def test_libtiff_says_nothing_itself(tmp_path, capfd):
    (tmp_path / "x.tif").write_bytes(one_strip(b"\xff" * 40, 5))
    with pytest.raises(UserError, match="cannot read the image"):
        read_image(tmp_path / "x.tif", 3)
    assert capfd.readouterr().err == ""


def test_a_path_with_a_zero_byte_is_refused():
    with pytest.raises(UserError, match="null byte"):
        read_image(Path("a\0.png"), 3)


@pytest.mark.parametrize(
    ("shape", "channels", "where"),
    [
        ((3, 40, 40), None, "first"),
        ((40, 40, 3), None, "last"),
        ((5, 64, 48), None, "first"),
        ((64, 48, 12), None, "last"),
        ((9, 9, 200), None, "last"),
        ((200, 9, 9), None, "first"),
        ((3, 40, 3), None, "last"),
        ((32, 48, 200), 200, "last"),
        ((32, 48, 200), 32, "first"),
    ],
)
def test_where_channels_are(shape, channels, where):
    assert layout(*shape, channels=channels) == where


def test_a_range_that_is_said_is_believed():
    found = from_array(np.array([[[-1.0], [3.0]]]), 1, (-1, 1))
    assert found.flatten().tolist() == [0.0, 2.0]
    assert from_array(np.array([[[510]]]), 1, (0, 255)).item() == 2.0


SUFFIXES = (".png", ".jpg", ".gif", ".webp", ".bmp", ".ppm", ".tif", ".plain.tif", ".npy")


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.sampled_from(SUFFIXES), st.binary(max_size=200))
def test_any_bytes_are_refused_in_words(suffix, content):
    with pytest.raises(UNREADABLE):
        decode(BytesIO(content), suffix, 3)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    st.lists(st.integers(-2, 2**40), min_size=0, max_size=4),
    st.sampled_from(["|u1", "<u2", ">u2", "<f4", "<f8", "<i8", "|O", "<c8", "|b1", "<U3"]),
)
def test_any_header_of_an_array_is_checked_before_numbers_are_read(shape, dtype):
    content = BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": dtype, "fortran_order": False, "shape": tuple(shape)})
    with pytest.raises(ValueError, match=r"array of|values|cut off"):
        load_array(BytesIO(content.getvalue()), ".npy")
