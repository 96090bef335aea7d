from __future__ import annotations

import numpy as np
import pytest

from statlearn.merging._rules._model_weights import model_weights


def test_weights_are_one_finite_number_a_model():
    np.testing.assert_array_equal(model_weights(None, 2, "r"), [1.0, 1.0])
    np.testing.assert_array_equal(model_weights([1, -2], 2, "r"), [1.0, -2.0])
    with pytest.raises(ValueError, match=r"2 in all. Got shape"):
        model_weights([1.0], 2, "r")
    with pytest.raises(ValueError, match="must be finite"):
        model_weights([1.0, np.nan], 2, "r")


@pytest.mark.parametrize(
    "weights", [["a", "b"], ["1", "2"], "ab", {"a": 1, "b": 2}, [[1], [1, 2]], [1j, 1]]
)
def test_weights_that_are_no_numbers_are_refused(weights):
    with pytest.raises(TypeError, match=r"'weights' of r must be numbers, .* pass a"):
        model_weights(weights, 2, "r")
