"""Writes safetensors files: eight bytes of length, a JSON header, the numbers."""
import json
import struct

import numpy as np

TYPES = {"float32": "F32", "int64": "I64"}


def write(path, tensors):
    """@param tensors NumPy arrays by name; float64 is rounded to float32"""
    header, parts, offset = {}, [], 0
    for name, array in tensors.items():
        array = np.asarray(array)
        array = array.astype(np.float32) if array.dtype == np.float64 else array
        data = array.tobytes()
        header[name] = {
            "dtype": TYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(data)],
        }
        parts.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(parts))
