"""gguf_with_pooling.py MODEL COPY: the model as one that makes embeddings, by the mean."""

import sys

from gguf import GGUFReader, GGUFValueType, GGUFWriter

model, copy = sys.argv[1:]
reader = GGUFReader(model)
writer = GGUFWriter(copy, arch="llama")
for field in reader.fields.values():
    if field.name.startswith("GGUF.") or field.name == "general.architecture":
        continue
    kind = field.types[0]
    inner = field.types[-1] if kind == GGUFValueType.ARRAY else None
    writer.add_key_value(field.name, field.contents(), kind, inner)
writer.add_uint32("llama.pooling_type", 1)
for tensor in reader.tensors:
    writer.add_tensor(tensor.name, tensor.data, raw_dtype=tensor.tensor_type)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
print("null")
