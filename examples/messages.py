"""The messages and the client of `proto/`, made when a program starts.

Generated code is in no repository: it fits one version of the protobuf package alone.
"""

import importlib
import pathlib
import sys
import tempfile

from grpc_tools import protoc

PROTO = pathlib.Path(__file__).resolve().parent.parent / "proto"


def load():
    """The modules of `completion.proto` and `inference.proto`, and the client of the former."""
    with tempfile.TemporaryDirectory() as folder:
        names = [f"fathom/inference/v1/{name}.proto" for name in ("completion", "inference")]
        arguments = ["protoc", f"-I{PROTO}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
        if protoc.main(arguments + names) != 0:
            sys.exit("protoc failed: see the lines above")
        sys.path.insert(0, folder)
        modules = ("completion_pb2", "inference_pb2", "completion_pb2_grpc")
        loaded = [importlib.import_module(f"fathom.inference.v1.{module}") for module in modules]
        sys.path.remove(folder)
    return loaded
