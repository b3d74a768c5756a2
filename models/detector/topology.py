"""The detector as a list of nodes: what training, cost model, initialisation and export all read.

The shape is YOLOX-Nano's (Ge et al., Apache-2.0), whose trained weights it starts from, in operations that
an integer convolution engine has: the first layer reads pixels that the host sorted into 12 channels, every
pooling is 3x3, and all but the nine small predictions end in a clipped rectifier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

__all__ = ["CLASSES", "STRIDES", "Node", "Topology", "yolox_nano"]

#: PASCAL VOC's, in its order.
CLASSES = tuple(
    "aeroplane bicycle bird boat bottle bus car cat chair cow diningtable dog horse motorbike person "  # noqa: SIM905
    "pottedplant sheep sofa train tvmonitor".split()
)
#: Pixels a cell of each output map.
STRIDES = (8, 16, 32)
#: Box (4), objectness and the classes: the channels of an output map.
PREDICTIONS = ("box", "object", "class")


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation; `inputs` are names of nodes, or `image`."""

    name: str
    kind: str  #: conv, predict (a conv without rectifier), pool (3x3, stride 1), up (twice), cat or add
    inputs: tuple[str, ...]
    channels: int  #: of its result
    kernel: int = 1
    stride: int = 1
    groups: int = 1

    @property
    def has_weights(self) -> bool:
        return self.kind in ("conv", "predict")


@dataclass(frozen=True, kw_only=True)
class Topology:
    """Nodes in the order in which they can be computed, and the outputs among them, finest first."""

    name: str
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    classes: tuple[str, ...] = CLASSES
    #: Digits of the weights of each layer (see `models.program.digits`); of all others one.
    digits: Mapping[str, int] = field(default_factory=dict)
    activation_bits: int = 8
    image_channels: int = field(default=12)

    def __post_init__(self) -> None:
        names = [node.name for node in self.nodes]
        for name in (*self.digits, *self.outputs):
            if name not in names:
                raise ValueError(f"topology {self.name!r}: there is no node {name!r}; nodes are {names!r}")
        if not 2 <= self.activation_bits <= 8:
            raise ValueError(
                f"topology {self.name!r}: activation_bits must be 2 to 8, not {self.activation_bits!r}"
            )

    def __getitem__(self, name: str) -> Node:
        return self.by_name[name]

    @property
    def by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def weighted(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.has_weights)

    def channels_of(self, name: str) -> int:
        return self.image_channels if name == "image" else self[name].channels

    def weight_shape(self, node: Node) -> tuple[int, int, int, int]:
        inputs = self.channels_of(node.inputs[0])
        return node.channels, inputs // node.groups, node.kernel, node.kernel

    def scale_groups(self) -> dict[str, str]:
        """The group of each node: nodes of one group share one scale, as sums and concatenations need."""
        group = {"image": "image"}
        for node in self.nodes:
            group[node.name] = node.name
            if not node.has_weights:
                for joined in {group[name] for name in node.inputs}:
                    group = {name: node.name if one == joined else one for name, one in group.items()}
        return group

    def with_digits(self, count: int, *names: str) -> Topology:
        """These layers' weights (all layers', if none is named) have so many digits."""
        chosen = names or tuple(node.name for node in self.weighted)
        return replace(self, digits={**self.digits, **dict.fromkeys(chosen, count)})


class _Drawing:
    """Appends nodes; each method returns the name of its result."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []

    def add(self, name: str, kind: str, *inputs: str, channels: int, **options: int) -> str:
        self.nodes.append(Node(name=name, kind=kind, inputs=inputs, channels=channels, **options))
        return name

    def channels(self, name: str) -> int:
        return next(node.channels for node in self.nodes if node.name == name)

    def conv(self, name: str, source: str, channels: int, kernel: int = 1, **options: int) -> str:
        return self.add(name, "conv", source, channels=channels, kernel=kernel, **options)

    def separable(self, name: str, source: str, channels: int, *, stride: int = 1) -> str:
        """A filter for each channel, then a mixture of the channels."""
        inputs = self.channels(source)
        filtered = self.conv(f"{name}_dw", source, inputs, 3, stride=stride, groups=inputs)
        return self.conv(f"{name}_pw", filtered, channels)

    def up(self, name: str, source: str) -> str:
        return self.add(name, "up", source, channels=self.channels(source))

    def cat(self, name: str, *sources: str) -> str:
        return self.add(name, "cat", *sources, channels=sum(map(self.channels, sources)))

    def stage(self, name: str, source: str, channels: int, *, depth: int = 1, shortcut: bool = True) -> str:
        """Two narrow branches, one of them deep, joined again (a cross-stage partial block)."""
        half = channels // 2
        deep = self.conv(f"{name}_a", source, half)
        flat = self.conv(f"{name}_b", source, half)
        for index in range(depth):
            inner = self.conv(f"{name}_m{index}", deep, half)
            inner = self.separable(f"{name}_m{index}", inner, half)
            deep = self.add(f"{name}_m{index}_add", "add", inner, deep, channels=half) if shortcut else inner
        return self.conv(f"{name}_c", self.cat(f"{name}_cat", deep, flat), channels)

    def pyramid_pool(self, name: str, source: str) -> str:
        """Greatest within 5x5, 9x9 and 13x13, as repeated 3x3."""
        half = self.channels(source) // 2
        scales = [self.conv(f"{name}_a", source, half)]
        for step in range(1, 7):
            self.add(
                f"{name}_p{step}", "pool", f"{name}_p{step - 1}" if step > 1 else scales[0], channels=half
            )
        scales += [f"{name}_p{step}" for step in (2, 4, 6)]
        return self.conv(f"{name}_c", self.cat(f"{name}_cat", *scales), 2 * half)

    def head(self, level: int, source: str, width: int, classes: int) -> str:
        stem = self.conv(f"head{level}_stem", source, width)
        judged = placed = stem
        for index in range(2):
            judged = self.separable(f"head{level}_class{index}", judged, width)
        parts = {"class": self.add(f"out{level}_class", "predict", judged, channels=classes)}
        for index in range(2):
            placed = self.separable(f"head{level}_box{index}", placed, width)
        parts["box"] = self.add(f"out{level}_box", "predict", placed, channels=4)
        parts["object"] = self.add(f"out{level}_object", "predict", placed, channels=1)
        return self.cat(f"out{level}", *(parts[name] for name in PREDICTIONS))


def yolox_nano(*, width: int = 16, classes: tuple[str, ...] = CLASSES) -> Topology:
    """YOLOX-Nano at `width` 16; other widths are for tests and for cost studies."""
    draw = _Drawing()
    stem = draw.conv("stem", "image", width, 3)
    dark2 = draw.stage("dark2", draw.separable("down2", stem, 2 * width, stride=2), 2 * width)
    dark3 = draw.stage("dark3", draw.separable("down3", dark2, 4 * width, stride=2), 4 * width, depth=3)
    dark4 = draw.stage("dark4", draw.separable("down4", dark3, 8 * width, stride=2), 8 * width, depth=3)
    pooled = draw.pyramid_pool("pyramid", draw.separable("down5", dark4, 16 * width, stride=2))
    dark5 = draw.stage("dark5", pooled, 16 * width, shortcut=False)

    top = draw.conv("lateral5", dark5, 8 * width)
    joined = draw.cat("join4", draw.up("up5", top), dark4)
    middle = draw.conv("lateral4", draw.stage("neck4", joined, 8 * width, shortcut=False), 4 * width)
    joined = draw.cat("join3", draw.up("up4", middle), dark3)
    fine = draw.stage("neck3", joined, 4 * width, shortcut=False)
    joined = draw.cat("rejoin4", draw.separable("redown4", fine, 4 * width, stride=2), middle)
    medium = draw.stage("back4", joined, 8 * width, shortcut=False)
    joined = draw.cat("rejoin5", draw.separable("redown5", medium, 8 * width, stride=2), top)
    coarse = draw.stage("back5", joined, 16 * width, shortcut=False)

    sources = (fine, medium, coarse)
    outputs = tuple(draw.head(level, source, 4 * width, len(classes)) for level, source in enumerate(sources))
    return Topology(name=f"yolox_nano_{width}", nodes=tuple(draw.nodes), outputs=outputs, classes=classes)
