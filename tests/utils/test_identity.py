from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn.linear_model import SGDClassifier
from sklearn.pipeline import make_pipeline

from statlearn.utils._identity import checksum, describe

X = np.arange(12.0).reshape(3, 4)


class Plain:
    pass


@dataclass
class Cooling:
    law: object
    n_steps: int = 10


def scaled(factor):
    return lambda step: factor * step


def tilted(step, factor):
    return step * factor


# ------------------------------------------------------------------ texts
@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (np.float32(0.5), "0.5"),
        (["a", (1, 2)], "('a', (1, 2))"),
        ({"a": 1}, "('a': 1)"),
        ({"b", "a", "c"}, "set('a', 'b', 'c')"),
        (tilted, f"{__name__}.tilted"),
        (Plain, f"{__name__}.Plain"),
        (Plain(), f"<{__name__}.Plain object>"),
        (partial(tilted, 2, factor=3.0), f"partial({__name__}.tilted, 2, factor=3.0)"),
        (Cooling(None), f"{__name__}.Cooling(law=None, n_steps=10)"),
    ],
    ids=range(10),
)
def test_settings_are_known_by_names_and_numbers(value, text):
    assert describe(value) == text


def test_no_setting_has_an_address():
    deep = {"a": [Cooling(partial(scaled(2), Plain()))], "b": make_pipeline(Plain())}
    assert not re.search("0x[0-9a-f]", describe(deep))


def test_functions_of_one_name_differ_by_what_is_in_them():
    assert describe(scaled(2)) == describe(scaled(2))
    assert describe(scaled(2)) != describe(scaled(3))


def test_estimators_are_known_by_their_parameters():
    assert describe(SGDClassifier(alpha=0.1)) == describe(SGDClassifier(alpha=0.1))
    assert describe(SGDClassifier(alpha=0.1)) != describe(SGDClassifier(alpha=0.2))
    text = describe(make_pipeline(SGDClassifier(loss="hinge")))
    assert "loss='hinge'" in text


def test_arrays_are_known_by_all_their_numbers():
    long = np.arange(5000.0)
    other = long.copy()
    other[2500] = -1.0
    assert describe(long) == describe(long.copy())
    assert describe(long) != describe(other)


def test_other_libraries_may_say_what_their_objects_are_known_by():
    def other(value):
        return "plain" if isinstance(value, Plain) else None

    assert describe([Plain(), 1], other) == "(plain, 1)"
    assert describe(partial(tilted, x=Plain()), other).endswith("tilted, x=plain)")
    assert checksum({"a": Plain()}, other=other) != checksum({"a": Plain()})


# ------------------------------------------------------------------ checksums
def test_equal_data_have_equal_checksums():
    table = sparse.csr_array(X)
    assert checksum(X, 1) == checksum(np.asfortranarray(X), 1)
    assert checksum(table) == checksum(table.copy()) == checksum(table.tocsc())


def test_distinct_data_have_distinct_checksums():
    distinct = [
        (),
        (None,),
        (X,),
        (X, None),
        (X.astype(np.float32),),
        (X.T,),
        (X.ravel(),),
        (sparse.csr_array(X),),
        (sparse.csr_array(X)[:, :3],),
        (np.array(["a", "b"]),),
        (np.array(["a", "b"], dtype=object),),
        (np.array(["2020-01-01"], dtype="M8[D]"),),
        ({"a": X},),
        ({"b": X},),
        (torch.ones(3),),
        (torch.ones(3, dtype=torch.bfloat16),),
        (torch.ones(3, 1),),
    ]
    assert len({checksum(*parts) for parts in distinct}) == len(distinct)


def test_sparse_tensor_is_known_by_its_numbers():
    dense = torch.eye(3)
    assert checksum(dense.to_sparse()) == checksum(dense)


def test_empty_and_single_values_have_checksums():
    assert checksum(np.array(3.0)) != checksum(np.array([3.0]))
    assert checksum(np.empty(0)) != checksum(np.empty((0, 2)))
