from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from statlearn.merging import corrupt

RNG = np.random.default_rng(0)
ROWS = RNG.uniform(2.0, 6.0, size=(200, 50))
KINDS = ["gaussian_noise", "impulse", "dropout", "contrast", "blur"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_stay_in_their_range_shape_and_type(kind, dtype):
    rows = ROWS.astype(dtype)
    before = rows.copy()
    out = corrupt(rows, kind, 5, random_state=0)
    assert out.dtype == dtype
    assert out.shape == rows.shape
    assert rows.min() <= out.min()
    assert out.max() <= rows.max()
    np.testing.assert_array_equal(rows, before)
    assert not np.array_equal(out, rows)


@pytest.mark.parametrize("kind", KINDS)
def test_severity_moves_rows_farther(kind):
    far = [
        np.abs(corrupt(ROWS, kind, s, random_state=0) - ROWS).mean()
        for s in (1, 2, 3, 4, 5)
    ]
    assert far == sorted(far)
    assert far[0] < 0.7 * far[-1]


@pytest.mark.parametrize("kind", KINDS)
def test_unit_of_the_rows_does_not_matter(kind):
    plain = corrupt(ROWS, kind, random_state=0)
    scaled = corrupt(1000.0 * ROWS - 7.0, kind, random_state=0)
    np.testing.assert_allclose(scaled, 1000.0 * plain - 7.0, rtol=1e-9)


def test_noise_has_its_share_of_the_range():
    rows = np.full((400, 50), 0.5)
    rows[0, :2] = 0.0, 1.0
    noise = corrupt(rows, "gaussian_noise", 1, random_state=0)[1:] - 0.5
    np.testing.assert_allclose(noise.std(), 0.08, rtol=0.02)


def test_impulses_hit_their_share_at_both_ends():
    rows = np.full((400, 50), 0.5)
    rows[0, :2] = 0.0, 1.0
    out = corrupt(rows, "impulse", 5, random_state=0)[1:]
    np.testing.assert_allclose([(out == 0).mean(), (out == 1).mean()], 0.135, rtol=0.08)


def test_dropped_numbers_become_the_mean_of_their_column():
    out = corrupt(ROWS, "dropout", 5, random_state=0)
    changed = out != ROWS
    np.testing.assert_allclose(changed.mean(), 0.5, atol=0.02)
    means = np.broadcast_to(ROWS.mean(axis=0), ROWS.shape)
    np.testing.assert_array_equal(out[changed], means[changed])


def test_contrast_keeps_the_mean_of_a_row_and_shrinks_its_spread():
    out = corrupt(ROWS, "contrast", 4)
    np.testing.assert_allclose(out.mean(axis=1), ROWS.mean(axis=1))
    np.testing.assert_allclose(out.std(axis=1), 0.1 * ROWS.std(axis=1))


def test_images_are_blurred_each_on_its_own_and_channels_apart():
    images = RNG.uniform(size=(3, 6, 5, 2))
    out = corrupt(images.reshape(3, -1), "blur", 3, image_shape=(6, 5, 2))
    for image, blurred in zip(images, out.reshape(images.shape), strict=True):
        for channel in (0, 1):
            expected = gaussian_filter(image[..., channel], 1.0, mode="nearest")
            np.testing.assert_allclose(blurred[..., channel], expected)


def test_seed_fixes_the_noise():
    same = [corrupt(ROWS, "gaussian_noise", random_state=3) for _ in range(2)]
    np.testing.assert_array_equal(*same)


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="The 'kind' of corrupt must be one of"):
        corrupt(ROWS, "fog")


@pytest.mark.parametrize("severity", [0, 6, 2.5, True, "3"])
def test_severity_outside_one_to_five_is_refused(severity):
    with pytest.raises(ValueError, match="a whole number from 1 to 5"):
        corrupt(ROWS, "contrast", severity)


@pytest.mark.parametrize("shape", [(6, 5), (50,), (5, 5, 2, 1)])
def test_image_shape_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match="of images with 50 numbers"):
        corrupt(ROWS, "blur", image_shape=shape)
