"""Compiles kernels.cu with NVRTC: to code of the GPUs that most have, and to PTX for all others.

    pip install nvidia-cuda-nvrtc==13.0.88 nvidia-nvfatbin==13.0.85
    python compile.py ../../src/gpu/runtime/cuda/kernels-fatbin.ts

The file's SHA-256 stands in the result: a test tells when the two no longer belong together.
"""

import base64
import ctypes
import hashlib
import importlib.util
import pathlib
import sys
import zlib

# The oldest GPU that ONNX Runtime's provider has kernels for; PTX for it runs on all later ones.
OLDEST = "75"
# Code for 8.0 runs on 8.6 and 8.9 too: within a major version later GPUs run what earlier ones do.
ARCHITECTURES = ["75", "80", "90", "120"]
SOURCE = pathlib.Path(__file__).with_name("kernels.cu")
PACKAGES = "pip install nvidia-cuda-nvrtc==13.0.88 nvidia-nvfatbin==13.0.85"


def library(name: str) -> ctypes.CDLL:
    found = importlib.util.find_spec("nvidia.cu13")
    folders = list(found.submodule_search_locations) if found else []
    for folder in folders:
        for path in sorted(pathlib.Path(folder, "lib").glob(f"{name}.so.13*")):
            return ctypes.CDLL(str(path))
    raise SystemExit(f"expected {name} of CUDA 13, got none: {PACKAGES}")


def compile_for(nvrtc: ctypes.CDLL, architecture: str, kind: str) -> bytes:
    """kind: CUBIN for code of the GPU itself, PTX for what drivers compile."""
    program = ctypes.c_void_p()
    check(
        nvrtc.nvrtcCreateProgram(
            ctypes.byref(program), SOURCE.read_bytes(), b"kernels.cu", 0, None, None
        )
    )
    options = [f"--gpu-architecture={architecture}".encode()]
    code = nvrtc.nvrtcCompileProgram(program, len(options), (ctypes.c_char_p * 1)(*options))
    if code != 0:
        raise SystemExit(result(nvrtc, program, "ProgramLog").rstrip(b"\0").decode())
    return result(nvrtc, program, kind)


def result(nvrtc: ctypes.CDLL, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    check(getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    found = ctypes.create_string_buffer(size.value)
    check(getattr(nvrtc, f"nvrtcGet{what}")(program, found))
    return found.raw


def fat_binary() -> bytes:
    # NVRTC looks for them by name, where the loader does.
    library("libnvrtc-builtins")
    nvrtc = library("libnvrtc")
    nvfatbin = library("libnvfatbin")
    # All of it is compressed together afterwards.
    options = [b"-64", b"-compress=false"]
    handle = ctypes.c_void_p()
    check(
        nvfatbin.nvFatbinCreate(ctypes.byref(handle), (ctypes.c_char_p * 2)(*options), len(options))
    )
    for architecture in ARCHITECTURES:
        code = compile_for(nvrtc, f"sm_{architecture}", "CUBIN")
        size = ctypes.c_size_t(len(code))
        check(nvfatbin.nvFatbinAddCubin(handle, code, size, architecture.encode(), b"kernels.cu"))
    ptx = compile_for(nvrtc, f"compute_{OLDEST}", "PTX")
    size = ctypes.c_size_t(len(ptx))
    check(nvfatbin.nvFatbinAddPTX(handle, ptx, size, OLDEST.encode(), b"kernels.cu", b""))
    size = ctypes.c_size_t()
    check(nvfatbin.nvFatbinSize(handle, ctypes.byref(size)))
    found = ctypes.create_string_buffer(size.value)
    check(nvfatbin.nvFatbinGet(handle, found))
    return found.raw


def check(code: int) -> None:
    if code != 0:
        raise SystemExit(f"CUDA's libraries answer {code}")


digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()
packed = base64.b64encode(zlib.compress(fat_binary(), 9)).decode()
pathlib.Path(sys.argv[1]).write_text(
    "/*\n"
    " * Machine code and PTX of tools/kernels/kernels.cu.\n"
    " * Made by tools/kernels/compile.py; not to be edited.\n"
    " */\n\n"
    "/** SHA-256 of the source. */\n"
    f"export const KERNELS_SOURCE_SHA256 = '{digest}';\n\n"
    "/** A fat binary, compressed by zlib, in base64. */\n"
    f"export const KERNELS_FATBIN =\n  '{packed}';\n"
)
