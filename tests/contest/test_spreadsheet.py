import csv
import io

import pytest

from contest.disk.spreadsheet import to_csv


def chinese_excel(data):
    """What Excel on a Chinese Windows reads: UTF-8 where the file has its mark, the code page of the system without."""
    text = data.decode("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "gbk", "replace")
    return list(csv.reader(io.StringIO(text, newline="")))


def test_chinese_names_are_themselves_in_a_chinese_spreadsheet():
    assert chinese_excel(to_csv(("name", "final"), [("水墨风格", 0.5)])) == [["name", "final"], ["水墨风格", "0.5"]]


def test_other_programs_read_the_same_table():
    pandas = pytest.importorskip("pandas")
    rows = [("a,b", 0.1 + 0.2, 3, True), ('"q"\n', -2.5e-06, 4, False)]
    table = pandas.read_csv(io.BytesIO(to_csv(("name", "x", "n", "good"), rows)), float_precision="round_trip")
    assert list(table.columns) == ["name", "x", "n", "good"]
    assert [tuple(row) for row in table.itertuples(index=False)] == rows


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1+1"])
def test_text_is_no_formula(text):
    assert chinese_excel(to_csv(("name",), [(text,)]))[1] == [f"'{text}"]


def test_numbers_stay_numbers():
    data = to_csv(("a", "b", "c", "d"), [(-1.5, -0.0, None, "\udcff")])
    assert data.decode("utf-8-sig").splitlines()[1] == "-1.5,0.0,,\\udcff"
