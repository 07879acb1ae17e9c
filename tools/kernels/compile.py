"""Compiles kernels.cu with NVRTC to PTX, which every NVIDIA driver turns into its GPU's own code.

    pip install nvidia-cuda-nvrtc==13.0.88
    python compile.py ../../src/gpu/runtime/cuda/kernels-ptx.ts

The file's SHA-256 stands in the result: a test tells when the two no longer belong together.
"""

import ctypes
import hashlib
import importlib.util
import pathlib
import re
import sys

# The oldest GPU that ONNX Runtime's provider has kernels for; code for it runs on all later ones.
ARCHITECTURE = "compute_75"
SOURCE = pathlib.Path(__file__).with_name("kernels.cu")


def library() -> ctypes.CDLL:
    found = importlib.util.find_spec("nvidia.cu13")
    folders = list(found.submodule_search_locations) if found else []
    for folder in folders:
        for path in sorted(pathlib.Path(folder, "lib").glob("libnvrtc.so.13*")):
            return ctypes.CDLL(str(path))
    raise SystemExit("expected nvidia-cuda-nvrtc of CUDA 13, got none: pip install nvidia-cuda-nvrtc==13.0.88")


def compile_to_ptx(source: bytes) -> str:
    nvrtc = library()
    program = ctypes.c_void_p()
    check(nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, b"kernels.cu", 0, None, None))
    options = [f"--gpu-architecture={ARCHITECTURE}".encode()]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * 1)(*options))
    if code != 0:
        size = ctypes.c_size_t()
        nvrtc.nvrtcGetProgramLogSize(program, ctypes.byref(size))
        log = ctypes.create_string_buffer(size.value)
        nvrtc.nvrtcGetProgramLog(program, log)
        raise SystemExit(log.value.decode())
    size = ctypes.c_size_t()
    check(nvrtc.nvrtcGetPTXSize(program, ctypes.byref(size)))
    ptx = ctypes.create_string_buffer(size.value)
    check(nvrtc.nvrtcGetPTX(program, ptx))
    return ptx.value.decode()


def check(code: int) -> None:
    if code != 0:
        raise SystemExit(f"NVRTC answers {code}")


source = SOURCE.read_bytes()
ptx = re.sub(r"^//.*\n", "", compile_to_ptx(source), flags=re.M).strip()
digest = hashlib.sha256(source).hexdigest()
pathlib.Path(sys.argv[1]).write_text(
    "/*\n"
    " * PTX of tools/kernels/kernels.cu. Made by tools/kernels/compile.py; not to be edited.\n"
    " */\n\n"
    "/** SHA-256 of the source. */\n"
    f"export const KERNELS_SOURCE_SHA256 = '{digest}';\n\n"
    f"export const KERNELS_PTX = `{ptx}\n`;\n"
)
