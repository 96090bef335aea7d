from __future__ import annotations

import pickle

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.neural_network import MLPClassifier

from statlearn.merging import (
    SignaturePatchedClassifier,
    apply_signature,
    corrupt,
    get_weights,
)

X, Y = load_digits(return_X_y=True)
X = X / 16.0
NETWORK = MLPClassifier((16,), max_iter=300, tol=1e-2, random_state=0)


def grey(rows, rng):
    return corrupt(rows, "contrast", 3)


def speckled(rows, rng):
    return corrupt(rows, "impulse", 4, random_state=rng)


@pytest.fixture(scope="module")
def fitted():
    corruptions = {"grey": grey, "noise": speckled}
    model = SignaturePatchedClassifier(
        NETWORK, corruptions, n_epochs=10, random_state=0
    )
    return model.fit(X[:900], Y[:900])


def test_patch_recovers_most_of_what_the_corruption_takes(fitted):
    dim = corrupt(X[900:], "contrast", 3)
    clean = fitted.unpatch().score(dim, Y[900:])
    patched = fitted.patch("grey").score(dim, Y[900:])
    robust = fitted.robust_estimators_["grey"].score(dim, Y[900:])
    assert patched - clean > 0.5 * (robust - clean) > 0.05


def test_patch_is_the_clean_model_with_the_signature(fitted):
    fitted.patch("grey", alpha=0.3)
    expected = apply_signature(
        fitted.clean_estimator_, fitted.signatures_["grey"], alpha=0.3
    )
    np.testing.assert_array_equal(fitted.predict_proba(X), expected.predict_proba(X))
    assert fitted.active_ == ("grey",)


def test_without_names_all_patches_share_the_strength(fitted):
    fitted.patch()
    expected = apply_signature(fitted.clean_estimator_, *fitted.signatures_.values())
    np.testing.assert_array_equal(fitted.predict(X), expected.predict(X))
    assert fitted.active_ == ("grey", "noise")


def test_unpatched_it_is_the_clean_model_to_the_bit(fitted):
    before = get_weights(fitted.clean_estimator_)["W0"].copy()
    fitted.patch("noise").unpatch()
    np.testing.assert_array_equal(get_weights(fitted.estimator_)["W0"], before)
    assert fitted.active_ == ()


def test_identical_training_has_no_signature():
    model = SignaturePatchedClassifier(NETWORK, {"none": lambda X, rng: X}, n_epochs=2)
    model.fit(X[:300], Y[:300])
    norms = model.signatures_["none"].norms(relative_to=model.clean_estimator_)
    assert max(norms.values()) < 1e-14


def test_active_patches_are_on_after_fit_and_seeds_fix_all():
    make = SignaturePatchedClassifier(
        SGDClassifier("log_loss", random_state=0),
        ["dropout"],
        n_epochs=3,
        active=["dropout"],
        random_state=5,
    )
    first, second = (make.fit(X[:300], Y[:300]).predict_proba(X) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert make.active_ == ("dropout",)
    assert not np.array_equal(first, make.unpatch().predict_proba(X))


def test_it_survives_pickling(fitted):
    plain = SignaturePatchedClassifier(NETWORK, n_epochs=1).fit(X[:200], Y[:200])
    again = pickle.loads(pickle.dumps(plain.patch()))
    np.testing.assert_array_equal(again.predict(X), plain.predict(X))


def test_layers_without_signature_stay_clean():
    model = SignaturePatchedClassifier(NETWORK, ["contrast"], n_epochs=2, layers=1)
    model.fit(X[:300], Y[:300]).patch()
    assert list(model.signatures_["contrast"]) == ["W0", "b0"]
    np.testing.assert_array_equal(
        model.estimator_.coefs_[1], model.clean_estimator_.coefs_[1]
    )


def test_unknown_names_are_refused(fitted):
    with pytest.raises(ValueError, match=r"grey, noise. Got 'fog'; pass some"):
        fitted.patch("fog")
    with pytest.raises(ValueError, match=r"corruptions, contrast. Got 'fog'"):
        SignaturePatchedClassifier(corruptions=["contrast"], active=["fog"]).fit(X, Y)
    with pytest.raises(ValueError, match="The 'kind' of corrupt must be one of"):
        SignaturePatchedClassifier(NETWORK, ["fog"]).fit(X, Y)


def test_no_corruptions_are_refused():
    with pytest.raises(ValueError, match=r"must be at least one. Got none"):
        SignaturePatchedClassifier(corruptions=[]).fit(X, Y)


def test_estimator_without_partial_fit_is_refused():
    with pytest.raises(ValueError, match="'partial_fit'"):
        SignaturePatchedClassifier(LogisticRegression()).fit(X, Y)


def test_patching_before_fit_is_refused():
    with pytest.raises(NotFittedError):
        SignaturePatchedClassifier().patch()
    with pytest.raises(NotFittedError):
        SignaturePatchedClassifier().unpatch()
