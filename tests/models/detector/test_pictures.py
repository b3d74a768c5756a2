"""Readers of the three kinds of folders, on files made here."""

import io
import json
import tarfile

import cv2
import numpy as np
import pytest

from models.detector.pictures import packed_voc, picture_folder, voc_devkit, voc_split
from models.detector.topology import CLASSES


def encoded(pixels, suffix):
    return cv2.imencode(suffix, pixels)[1].tobytes()


@pytest.fixture
def picture():
    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[10:30, 20:50] = (250, 0, 0)
    return pixels


def pack(folder, content, images):
    tar, truths = folder / "voc2007_train.tar", folder / "voc2007_train.json"
    with tarfile.open(tar, "w") as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(f"{name}.png")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    truths.write_text(json.dumps({"classes": list(CLASSES), "images": images}))
    return tar, truths


def test_boxes_of_the_original_land_in_the_decoded_picture(tmp_path, picture):
    # The original was twice as large; VOC's corners count from 1 and are inclusive.
    images = {"b": {"w": 120, "h": 80, "b": [[6, 41, 21, 100, 60, 1]]}, "a": {"w": 60, "h": 40, "b": []}}
    pictures = packed_voc(*pack(tmp_path, {name: encoded(picture, ".png") for name in "ab"}, images))
    assert pictures.names == ("a", "b")
    assert len(pictures[0].truth.boxes) == 0
    read = pictures[1]
    np.testing.assert_array_equal(read.pixels, picture)
    np.testing.assert_allclose(read.truth.boxes, [[20, 10, 50, 30]])
    assert (read.pixels[10:30, 20:50, 0] == 250).all(), "the box holds the object, in blue, green, red"
    assert read.truth.classes.tolist() == [CLASSES.index("car")]
    assert read.truth.difficult.tolist() == [True]


def test_a_devkit_folder(tmp_path, picture):
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "ImageSets/Main/val.txt").write_text("000001\n")
    (tmp_path / "JPEGImages/000001.jpg").write_bytes(encoded(picture, ".jpg"))
    corners = "<xmin>21</xmin><ymin>11</ymin><xmax>50</xmax><ymax>30</ymax>"
    body = f"<object><name>dog</name><difficult>0</difficult><bndbox>{corners}</bndbox></object>"
    annotation = tmp_path / "Annotations/000001.xml"
    annotation.write_text(f"<annotation>{body}</annotation>")
    truth = voc_devkit(tmp_path, "val")[0].truth
    np.testing.assert_allclose(truth.boxes, [[20, 10, 50, 30]])
    assert truth.classes.tolist() == [CLASSES.index("dog")]
    annotation.write_text(f"<annotation>{body.replace('dog', 'unicorn')}</annotation>")
    with pytest.raises(ValueError, match="'unicorn' is none of VOC's classes"):
        voc_devkit(tmp_path, "val")[0]
    with pytest.raises(FileNotFoundError, match=r"train\.txt"):
        voc_devkit(tmp_path, "train")


def test_a_folder_of_pictures(tmp_path, picture):
    with pytest.raises(FileNotFoundError, match="no pictures"):
        picture_folder(tmp_path)
    (tmp_path / "two.png").write_bytes(encoded(picture, ".png"))
    (tmp_path / "one.webp").write_bytes(encoded(picture, ".webp"))
    (tmp_path / "notes.txt").write_text("none")
    pictures = picture_folder(tmp_path)
    assert pictures.names == ("one.webp", "two.png")
    assert pictures[1].pixels.shape == (40, 60, 3)
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ValueError, match=r"broken\.png' is no picture that OpenCV can decode"):
        picture_folder(tmp_path)[0]


def test_what_is_missing_is_named(tmp_path, picture):
    with pytest.raises(FileNotFoundError, match=r"voc2007_train\.tar.*COLONNADE_DATA"):
        voc_split(tmp_path, "train")
    images = {name: {"w": 60, "h": 40, "b": []} for name in ("here", "gone")}
    files = pack(tmp_path, {"here": encoded(picture, ".png")}, images)
    with pytest.raises(ValueError, match=r"lacks 1 pictures of .*'gone' first"):
        packed_voc(*files)
