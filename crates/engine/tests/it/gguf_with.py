"""gguf_with.py MODEL COPY KEY=VALUE..: the model with other metadata; a value of digits is a number."""

import sys

from gguf import GGUFReader, GGUFValueType, GGUFWriter

model, copy, *changes = sys.argv[1:]
changes = dict(change.split("=", 1) for change in changes)
reader = GGUFReader(model)
writer = GGUFWriter(copy, arch="llama")
for field in reader.fields.values():
    if field.name.startswith("GGUF.") or field.name in ("general.architecture", *changes):
        continue
    kind = field.types[0]
    inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, inner)
for key, value in changes.items():
    if value.isdigit():
        writer.add_uint32(key, int(value))
    else:
        writer.add_string(key, value)
for tensor in reader.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
print("null")
