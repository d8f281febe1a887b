"""The table of compiled kernels; everything else is declared in pyproject.toml.

``POOLWISE_DEBUG_KERNELS=1`` builds the same kernels with every index checked. The directives stand here because a
header in the ``.pyx`` file would win over the switch; a kernel's wrapper proves every index in range.
"""

import os

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

EXTENSIONS = {
    "rating._adjudication": "_ext/adjudication.pyx",
    "rating._continuance": "_ext/continuance.pyx",
    "rating._premium": "_ext/premium.pyx",
    "riskadjust._encoding": "_ext/encoding.pyx",
    "riskadjust._grouping": "_ext/grouping.pyx",
    "riskadjust._scoring": "_ext/scoring.pyx",
}

DEBUG = os.environ.get("POOLWISE_DEBUG_KERNELS", "") not in ("", "0")
# A build base of its own, so that neither kind of build takes the other's objects for up to date.
BUILD_BASE = "build/debug" if DEBUG else "build/release"
DIRECTIVES = {
    "language_level": "3",
    "boundscheck": DEBUG,
    "initializedcheck": DEBUG,
    "cdivision": not DEBUG,
    "wraparound": False,  # in a debug build too: a negative index is a fault there, not "from the end"
}
LIMITED_API = "0x030B0000"  # Python 3.11: one binary serves 3.11 and everything after it


class BuildKernels(build_ext):
    def build_extensions(self):
        # ffp-contract=off: a fused multiply-add would give other bytes on ARM than on x86.
        flags = ["/O2"] if self.compiler.compiler_type == "msvc" else ["-O3", "-g0", "-ffp-contract=off"]
        for extension in self.extensions:
            extension.extra_compile_args = flags
        super().build_extensions()


setup(
    ext_modules=cythonize(
        [
            Extension(name, [source], define_macros=[("Py_LIMITED_API", LIMITED_API)], py_limited_api=True)
            for name, source in EXTENSIONS.items()
        ],
        include_path=["_ext"],
        build_dir=f"{BUILD_BASE}/cython",
        compiler_directives=DIRECTIVES,
        force=DEBUG,
    ),
    cmdclass={"build_ext": BuildKernels},
    options={"build": {"build_base": BUILD_BASE}, "bdist_wheel": {"py_limited_api": "cp311"}},
)
