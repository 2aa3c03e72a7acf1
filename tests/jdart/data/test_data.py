import hashlib
import io

import numpy as np
import pytest
from PIL import Image

from contest.errors import UserError
from jdart.data.captions import load_pictures
from jdart.data.pictures import average_image, crop, read_rgb, resize_short_side, to_model_range, to_pixels
from jdart.data.seeds import image_seed, rng_for

TEMPLATE = "an image of {object} in style_{id}"


def noise_image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


# Pictures of a folder


def test_pictures_are_sorted_and_captioned(tmp_path):
    for name in ("olive_tree.png", "Bus.JPG", "cat.webp"):
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "._cat.png").write_bytes(b"no picture either")
    pictures = load_pictures(tmp_path, TEMPLATE, "07")
    assert [p.path.name for p in pictures] == ["Bus.JPG", "cat.webp", "olive_tree.png"]
    assert pictures[2].object == "olive tree"
    assert pictures[2].caption == "an image of olive tree in style_07"


def test_missing_and_empty_folders_say_what_to_do(tmp_path):
    with pytest.raises(UserError, match=r"no such folder; put the reference pictures of style 00 there"):
        load_pictures(tmp_path / "absent", TEMPLATE, "00")
    with pytest.raises(UserError, match=r"no pictures; .*png, apng, jpg, jpeg"):
        load_pictures(tmp_path, TEMPLATE, "00")


@pytest.mark.parametrize("template", ["a {thing}", "a {}", "a {object", "a {object.x}"])
def test_a_wrong_template_is_refused(tmp_path, template):
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"only \{object\} and \{id\}"):
        load_pictures(tmp_path, template, "00")


# Reading

RED, WHITE = (255, 0, 0), (255, 255, 255)


def rgba():
    image = Image.new("RGBA", (2, 1), (*RED, 255))
    image.putpixel((1, 0), (0, 0, 255, 0))
    return image


def transparent_palette():
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 255, 0])
    image.putpixel((1, 0), 1)
    image.info["transparency"] = 1
    return image


@pytest.mark.parametrize(
    ("image", "suffix", "left", "right"),
    [
        (rgba(), "png", RED, WHITE),
        (rgba(), "webp", RED, WHITE),
        (transparent_palette(), "png", RED, WHITE),
        (Image.new("L", (2, 1), 100), "png", (100, 100, 100), (100, 100, 100)),
        (Image.new("LA", (2, 1), (100, 0)), "png", WHITE, WHITE),
        (Image.new("1", (2, 1), 1), "png", WHITE, WHITE),
        (Image.fromarray(np.array([[0, 257 * 100]], np.uint16)), "png", (0, 0, 0), (100, 100, 100)),
        (Image.new("CMYK", (2, 1), (0, 255, 255, 0)), "jpg", (254, 0, 0), (254, 0, 0)),
    ],
)
def test_every_kind_of_picture_is_read_as_it_is_seen(tmp_path, image, suffix, left, right):
    path = tmp_path / f"a.{suffix}"
    image.save(path, **({"lossless": True} if suffix == "webp" else {}))
    found = read_rgb(path)
    assert found.shape == (1, 2, 3)
    assert found.dtype == np.uint8
    np.testing.assert_allclose(found[0], [left, right], atol=2)


def test_exif_orientation_is_applied(tmp_path):
    image = Image.fromarray(noise_image(2, 3))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned clockwise by a quarter
    image.save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_rgb(tmp_path / "a.png"), np.rot90(np.asarray(image), -1))


def test_unreadable_pictures_are_named(tmp_path):
    whole = io.BytesIO()
    Image.fromarray(noise_image(64, 64)).save(whole, "png")
    cases = {"empty.png": b"", "text.png": b"not a picture", "cut.png": whole.getvalue()[:4000]}
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=f"{name}: not a readable picture"):
            read_rgb(tmp_path / name)
    with pytest.raises(UserError, match=r"absent.png: no such file"):
        read_rgb(tmp_path / "absent.png")


# Trap 3: a resize that makes a square stretches, and a random crop after it cannot move


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((100, 200), 50, (50, 100)),
        ((200, 100), 50, (100, 50)),
        ((64, 64), 96, (96, 96)),
        ((7, 1000), 7, (7, 1000)),
    ],
)
def test_resize_keeps_the_aspect_ratio(shape, size, expected):
    assert resize_short_side(noise_image(*shape), size).shape == (*expected, 3)


def test_resize_does_not_stretch_a_circle():
    y, x = np.mgrid[:120, :240]
    disc = ((y - 60) ** 2 + (x - 120) ** 2 < 40**2).astype(np.uint8) * 255
    small = resize_short_side(np.repeat(disc[..., None], 3, axis=2), 60)[..., 0] > 127
    assert small.any(axis=0).sum() == pytest.approx(40, abs=1)
    assert small.any(axis=1).sum() == pytest.approx(40, abs=1)


def test_random_crop_moves_and_centre_crop_does_not():
    image = resize_short_side(noise_image(64, 128), 32)
    rng = rng_for("crop", 0)
    assert len({crop(image, 32, rng).tobytes() for _ in range(30)}) > 10
    np.testing.assert_array_equal(crop(image, 32), image[:, 16:48])


def test_random_crop_reaches_every_corner():
    image, rng = noise_image(3, 3), rng_for("crop", 1)
    corners = {(top, left): image[top : top + 2, left : left + 2].tobytes() for top in (0, 1) for left in (0, 1)}
    assert {crop(image, 2, rng).tobytes() for _ in range(100)} == set(corners.values())


def test_crop_larger_than_the_picture_is_misuse():
    with pytest.raises(ValueError, match="cannot cut 9 x 9 from 8 x 10 pixels"):
        crop(noise_image(10, 8), 9)


# Ranges


def test_pixels_survive_the_way_to_the_model_and_back():
    image = np.arange(256, dtype=np.uint8).repeat(3).reshape(16, 16, 3)
    values = to_model_range(image)
    assert (values.shape, values.dtype, values.min(), values.max()) == ((3, 16, 16), np.float32, -1, 1)
    np.testing.assert_array_equal(to_pixels(values), image)
    assert to_pixels(np.array([-3.0, 0.0, 3.0]).reshape(3, 1, 1)).tolist() == [[[0, 128, 255]]]


def test_nan_is_not_saved_as_a_black_picture():
    with pytest.raises(UserError, match="lower learning rate"):
        to_pixels(np.full((3, 2, 2), np.nan, np.float32))


def test_average_is_the_floor_of_the_mean(tmp_path):
    images = [noise_image(8, 8, seed) for seed in range(3)]
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    for path, image in zip(paths, images):
        Image.fromarray(image).save(path)
    found = average_image(paths, 8)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, np.floor(np.mean(images, axis=0)))
    assert average_image(paths, 16).shape == (16, 16, 3)


# Seeds. Trap 10: one seed used for two draws makes them equal


def test_image_seed_depends_on_style_prompt_and_base_seed_alone():
    first_bytes = hashlib.sha256(b'["image", "00", "Dolphin", 0]').digest()[:4]
    assert image_seed("00", "Dolphin", 0) == int.from_bytes(first_bytes, "big") == 1981255662
    seeds = {
        image_seed(*key) for key in [("00", "Dolphin", 0), ("01", "Dolphin", 0), ("00", "Dog", 0), ("00", "Dolphin", 1)]
    }
    assert len(seeds) == 4


def test_draws_for_different_purposes_are_unrelated():
    seed = image_seed("00", "Dolphin", 0)
    sample = rng_for("vae sample", seed).standard_normal(20_000)
    noise = rng_for("noise", seed).standard_normal(20_000)
    assert abs(np.corrcoef(sample, noise)[0, 1]) < 0.03


def test_keys_are_told_apart_by_type_and_place():
    keys = [("a", 1), ("a", "1"), ("a1",), (1, "a"), ("a", 1, "")]
    assert len({rng_for(*key).integers(2**62) for key in keys}) == len(keys)
    assert rng_for("a", 1).integers(2**62) == rng_for("a", 1).integers(2**62)
