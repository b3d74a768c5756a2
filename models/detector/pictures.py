"""Pictures with their objects: packed VOC sets, a VOCdevkit folder, or a folder of pictures."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from models.can_ids.captures import DATA_VARIABLE
from models.detector.metrics import Truth
from models.detector.topology import CLASSES

__all__ = ["Picture", "PictureSet", "packed_voc", "picture_folder", "voc_devkit", "voc_split"]

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")


@dataclass(frozen=True)
class Picture:
    """Pixels are blue, green, red, as OpenCV reads them and YOLOX was trained; boxes are in these pixels."""

    name: str
    pixels: np.ndarray
    truth: Truth


@dataclass(frozen=True)
class PictureSet:
    """Names in a fixed order; a picture is decoded when it is asked for."""

    description: str
    names: tuple[str, ...]
    read: Callable[[str], Picture]

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Picture:
        return self.read(self.names[index])

    def select(self, names: tuple[str, ...], description: str) -> PictureSet:
        return PictureSet(description, names, self.read)


def voc_split(data: Path, split: str) -> PictureSet:
    """`split` is "train" or "test_split" of the data folder's packed VOC2007."""
    stem = data / "voc" / f"voc2007_{split}"
    for path in (stem.with_suffix(".tar"), stem.with_suffix(".json")):
        if not path.is_file():
            raise FileNotFoundError(
                f"there is no {str(path)!r}; point --data or {DATA_VARIABLE} to the folder that holds "
                "voc/voc2007_train and voc/voc2007_test_split"
            )
    return packed_voc(stem.with_suffix(".tar"), stem.with_suffix(".json"))


def packed_voc(tar: Path, truths: Path) -> PictureSet:
    """Pictures in a tar file, whose objects a JSON file holds in original pixels, 1-based and inclusive."""
    described = json.loads(truths.read_text())
    classes = [CLASSES.index(name) for name in described["classes"]]
    with tarfile.open(tar) as archive:
        members = {Path(one.name).stem: one for one in archive if one.isfile()}
    missing = sorted(described["images"].keys() - members.keys())
    if missing:
        raise ValueError(
            f"{str(tar)!r} lacks {len(missing)} pictures of {truths.name!r}, {missing[0]!r} first"
        )
    places = {name: (one.offset_data, one.size) for name, one in members.items()}

    def read(name: str) -> Picture:
        place, size = places[name]
        with tar.open("rb") as file:
            file.seek(place)
            pixels = _decoded(file.read(size), f"{tar}:{name}")
        entry = described["images"][name]
        objects = [(classes[one[0]], one[1:5], bool(one[5])) for one in entry["b"]]
        return Picture(name, pixels, _truth(objects, pixels, (entry["h"], entry["w"])))

    return PictureSet(tar.stem, tuple(sorted(described["images"])), read)


def voc_devkit(folder: Path, split: str) -> PictureSet:
    """A folder such as VOCdevkit/VOC2007 with JPEGImages, Annotations and ImageSets/Main/<split>.txt."""
    listing = folder / "ImageSets" / "Main" / f"{split}.txt"
    if not listing.is_file():
        raise FileNotFoundError(
            f"there is no {str(listing)!r}; give the folder that holds JPEGImages, Annotations and ImageSets"
        )

    def read(name: str) -> Picture:
        path = folder / "JPEGImages" / f"{name}.jpg"
        pixels = _decoded(path.read_bytes(), str(path))
        return Picture(name, pixels, _annotation(folder / "Annotations" / f"{name}.xml", pixels))

    return PictureSet(f"{folder.name} {split}", tuple(listing.read_text().split()), read)


def picture_folder(folder: Path) -> PictureSet:
    """All pictures of a folder; nothing is known of their objects."""
    names = tuple(sorted(path.name for path in folder.iterdir() if path.suffix.lower() in SUFFIXES))
    if not names:
        raise FileNotFoundError(f"there are no pictures ({', '.join(SUFFIXES)}) in {str(folder)!r}")

    def read(name: str) -> Picture:
        pixels = _decoded((folder / name).read_bytes(), str(folder / name))
        return Picture(name, pixels, _truth([], pixels, pixels.shape[:2]))

    return PictureSet(folder.name, names, read)


def _decoded(content: bytes, name: str) -> np.ndarray:
    import cv2

    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR) if content else None
    if pixels is None:
        raise ValueError(f"{name!r} is no picture that OpenCV can decode ({len(content)} bytes)")
    return pixels


def _annotation(path: Path, pixels: np.ndarray) -> Truth:
    root = ElementTree.parse(path).getroot()
    objects = []
    for one in root.iter("object"):
        name = one.findtext("name", "")
        if name not in CLASSES:
            raise ValueError(f"{str(path)!r}: {name!r} is none of VOC's classes {CLASSES!r}")
        corners = [float(one.findtext(f"bndbox/{side}", "nan")) for side in ("xmin", "ymin", "xmax", "ymax")]
        objects.append((CLASSES.index(name), corners, one.findtext("difficult", "0") == "1"))
    return _truth(objects, pixels, pixels.shape[:2])


def _truth(
    objects: list[tuple[int, list[float], bool]], pixels: np.ndarray, original: tuple[int, ...]
) -> Truth:
    """Boxes from VOC's 1-based, inclusive corners of the original to edges in the decoded picture."""
    boxes = np.array([corners for _, corners, _ in objects], float).reshape(-1, 4) - (1, 1, 0, 0)
    scale = np.array([pixels.shape[1] / original[1], pixels.shape[0] / original[0]] * 2)
    return Truth(
        boxes * scale,
        np.array([one for one, _, _ in objects], int),
        np.array([difficult for _, _, difficult in objects], bool),
    )
