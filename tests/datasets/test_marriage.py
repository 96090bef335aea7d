from __future__ import annotations

import numpy as np
import pandas as pd

from statlearn.datasets import load_marriage_rating

#: Answers of the survey as statsmodels documents them.
COUNTS = {5: 2684, 4: 2242, 3: 993, 2: 348, 1: 99}


def test_answers_come_as_often_as_published():
    survey = load_marriage_rating()
    answers, counts = np.unique(survey.target, return_counts=True)
    assert dict(zip(answers.tolist(), counts.tolist(), strict=True)) == COUNTS


def test_rare_answer_is_the_last_category():
    survey = load_marriage_rating()
    assert survey.categories == tuple(COUNTS)
    assert survey.target_names[-1] == "very poor"
    assert len(survey.target_names) == len(survey.categories)


def test_time_spent_in_affairs_is_no_feature():
    survey = load_marriage_rating()
    assert survey.data.shape == (6366, 7)
    assert len(survey.feature_names) == 7
    assert "affairs" not in survey.feature_names
    assert np.isfinite(survey.data).all()


def test_frame_keeps_the_order_of_the_answers():
    survey = load_marriage_rating(as_frame=True)
    assert survey.target.cat.ordered
    assert survey.target.cat.categories.tolist() == list(COUNTS)
    assert survey.target.max() == 1
    assert survey.frame.shape == (6366, 8)
    assert survey.data.columns.tolist() == survey.feature_names


def test_pair_holds_the_same_numbers():
    survey = load_marriage_rating()
    X, y = load_marriage_rating(return_X_y=True)
    np.testing.assert_array_equal(X, survey.data)
    np.testing.assert_array_equal(y, survey.target)


def test_pair_of_pandas_objects_shares_one_index():
    X, y = load_marriage_rating(as_frame=True, return_X_y=True)
    assert isinstance(X, pd.DataFrame)
    assert X.index.equals(y.index)


def test_description_names_the_source():
    assert "R. C. Fair (1978)" in load_marriage_rating().DESCR
