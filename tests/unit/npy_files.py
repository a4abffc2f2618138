"""Writes the .npy files that test_npy.c reads ("write FOLDER"), and checks those it wrote ("check FOLDER").

Every file holds the values 0, 1, 2, ... in C order (bools: 0, 1, 1, 0, 1, 1, ..., i % 3 != 0; V2: bf16, as the
bfloat16 of ml_dtypes is written), so that the reader needs no second list.  The name says dtype, byte order (l, b), memory
order (C, F) and version.
"""
import sys

import numpy as np
from numpy.lib import format as npy

SHAPES = {"scalar": (), "vec": (5,), "mat": (3, 4), "cube": (2, 3, 4), "none": (3, 0, 2), "one": (1, 1, 7, 1)}


TYPES = ("f2", "f4", "f8", "i4", "i8", "u1", "b1", "V2")


def values(shape, dtype):
    flat = np.arange(int(np.prod(shape)))
    if dtype == "V2":
        return (flat.astype("f4").view("u4") >> 16).astype("u2").reshape(shape)
    return (flat % 3 != 0 if dtype == "b1" else flat).reshape(shape).astype(dtype)


def write_array(f, a, version, descr):
    """As NumPy does, with a name for the dtype that may be another than a's."""
    if np.dtype(descr) == a.dtype:
        return npy.write_array(f, a, version=version)
    fortran = a.flags.f_contiguous and not a.flags.c_contiguous
    header = {"descr": descr, "fortran_order": fortran, "shape": a.shape}
    npy._write_array_header(f, header, version)
    f.write(a.tobytes("F" if fortran else "C"))


def write(folder):
    for dtype in TYPES:
        for mark, order in (("l", "<"), ("b", ">")):
            for memory in "CF":
                for major in (1, 2, 3):
                    for name, shape in SHAPES.items():
                        a = np.asarray(values(shape, dtype), dtype=order + dtype.replace("V", "u"), order=memory)
                        with open(f"{folder}/{dtype}_{mark}{memory}{major}_{name}.npy", "wb") as f:
                            write_array(f, a, (major, 0), order + dtype)
    np.save(f"{folder}/object.npy", np.array([{}, []], dtype=object), allow_pickle=True)
    np.save(f"{folder}/struct.npy", np.zeros(3, dtype=[("a", "<f4"), ("b", "<i8")]))
    for dtype in ("i1", "i2", "u2", "u4", "u8", "c8", "c16", "S3", "U2", "M8[s]", "g"):
        np.save(f"{folder}/bad_{np.dtype(dtype).char}.npy", np.zeros(3, dtype=dtype))
    np.savez(f"{folder}/archive.npz", np.zeros(3))


def check(folder):
    for dtype in TYPES:
        for name, shape in SHAPES.items():
            a = np.load(f"{folder}/out_{dtype}_{name}.npy", allow_pickle=False)
            assert a.shape == shape and a.dtype == np.dtype(dtype), (dtype, name, a.shape, a.dtype)
            assert (a.view("u2" if dtype == "V2" else a.dtype) == values(shape, dtype)).all(), (dtype, name)
    a = np.load(f"{folder}/out_transposed.npy")
    assert (a == np.arange(12.0).reshape(3, 4).T[::-1]).all()


{"write": write, "check": check}[sys.argv[1]](sys.argv[2])
