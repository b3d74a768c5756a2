"""Have NNgen generate a convolution. Runs by its path in a Python that has NNgen and nothing of ours.

    python nngen_generate.py FOLDER

FOLDER holds layer.npz (`exponents`, `bias`, `sample` in NNgen's order of axes) and request.json; into it go
peer.v, parameters.npy, expected.npy and addresses.json.
"""

import json
import sys
from pathlib import Path

import nngen
import numpy as np

#: What NNgen aligns parameters to, in bytes.
CHUNK = 64


def generate(folder: Path) -> None:
    request = json.loads((folder / "request.json").read_text())
    layer = np.load(folder / "layer.npz")
    image = nngen.placeholder(dtype=nngen.int8, shape=layer["sample"].shape, name="image")
    weights = nngen.variable(dtype=nngen.int4, shape=layer["exponents"].shape, name="weights")
    bias = nngen.variable(dtype=nngen.int32, shape=layer["bias"].shape, name="bias")
    weights.set_value(layer["exponents"])
    bias.set_value(layer["bias"])
    result = nngen.log_weight_conv2d(
        image,
        weights,
        strides=(1, 1, 1, 1),
        bias=bias,
        act_func=nngen.relu,
        dtype=nngen.int8,
        mul_dtype=nngen.int16,
        sum_dtype=nngen.int32,
        name="result",
    )
    result.attribute(par_ich=request["par_ich"], par_och=request["par_och"], cshamt_out=request["shift"])
    expected = nngen.eval([result], image=layer["sample"])[0]
    nngen.to_verilog(
        [result],
        request["module"],
        filename=str(folder / "peer.v"),
        config={"maxi_datawidth": request["bus_bits"]},
        silent=True,
    )
    np.save(folder / "parameters.npy", nngen.export_ndarray([result], CHUNK))
    np.save(folder / "expected.npy", np.asarray(expected))
    places = {
        "image": image.addr,
        "result": result.addr,
        "parameters": -(-(image.addr + image.memory_size) // CHUNK) * CHUNK,
        "version": nngen.__version__,
    }
    (folder / "addresses.json").write_text(json.dumps(places))


if __name__ == "__main__":
    generate(Path(sys.argv[1]))
