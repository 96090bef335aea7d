from __future__ import annotations

import inspect
import warnings

import pytest

from statlearn.utils._deprecation import renamed_parameter


class Model:
    @renamed_parameter("level", "coverage")
    def ends(self, coverage=0.95, *, upper=True):
        """Say what came."""
        return coverage, upper


def test_old_name_works_and_warns():
    message = (
        r"Model.ends expected 'coverage', as 'level' is called now. Got level=0.9; "
        r"write coverage=0.9, since the old name will go\."
    )
    with pytest.warns(FutureWarning, match=message) as caught:
        assert Model().ends(level=0.9, upper=False) == (0.9, False)
    assert caught[0].filename == __file__


def test_new_name_is_silent():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert Model().ends(0.8) == Model().ends(coverage=0.8) == (0.8, True)


@pytest.mark.parametrize("args", [(0.8,), ()], ids=["by place", "by name"])
def test_one_parameter_by_both_names_is_refused(args):
    options = {} if args else {"coverage": 0.8}
    with (
        pytest.warns(FutureWarning, match="old name"),
        pytest.raises(TypeError, match=r"multiple values for .*'coverage'"),
    ):
        Model().ends(*args, level=0.9, **options)


def test_signature_and_docstring_are_those_of_the_function():
    assert list(inspect.signature(Model.ends).parameters) == [
        "self",
        "coverage",
        "upper",
    ]
    assert Model.ends.__doc__ == "Say what came."
