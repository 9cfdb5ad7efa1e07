/*
 * A shared library that exports OrtGetApiBase of the ONNX Runtime inside a Python package, for checking hpff's native training backend against
 * onnxruntime-training-cpu 1.19.2, whose own library exports nothing but its Python module.
 *
 * A library of custom operators is handed the API. So Python has the package register this one as such, and it notes in a file beside it (`.where`) in which
 * library, and how far from its start, the API lies. Loaded by anyone else, it finds the API there; no Python runs then.
 *
 *   cc -shared -fPIC -o /tmp/libort-python.so tools/ort-training/python-library.c $(python3-config --ldflags --embed)
 *   VENV/bin/python -c "import onnxruntime as o; o.SessionOptions().register_custom_ops_library('/tmp/libort-python.so')"
 *   hpff train RECIPE -o RUN --backend ort-training --ort-library /tmp/libort-python.so
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

/* Of the Python library, which the package's library needs the symbols of. */
extern void Py_InitializeEx(int);

static void note_path(char *path, size_t size) {
  Dl_info self;
  dladdr((void *)note_path, &self);
  snprintf(path, size, "%s.where", self.dli_fname);
}

/* What ONNX Runtime calls of a library of custom operators: (session options, api base) → status, null for success. */
void *RegisterCustomOps(void *options, const void *base) {
  (void)options;
  char path[4096];
  Dl_info owner;
  note_path(path, sizeof path);
  FILE *note = fopen(path, "w");
  if (note && dladdr(base, &owner)) {
    fprintf(note, "%ld %s\n", (long)((const char *)base - (const char *)owner.dli_fbase), owner.dli_fname);
  }
  if (note) fclose(note);
  return NULL;
}

const void *OrtGetApiBase(void) {
  char path[4096], library[4096];
  long offset;
  Dl_info python, owner;
  note_path(path, sizeof path);
  FILE *note = fopen(path, "r");
  if (!note || fscanf(note, "%ld %4095[^\n]", &offset, library) != 2) {
    fprintf(stderr, "%s: missing; have Python register this library first\n", path);
    abort();
  }
  fclose(note);
  /* Extension modules look for the interpreter's symbols among those that all can see. */
  if (dladdr((void *)Py_InitializeEx, &python)) dlopen(python.dli_fname, RTLD_LAZY | RTLD_GLOBAL);
  void *handle = dlopen(library, RTLD_LAZY);
  void *module = handle ? dlsym(handle, "PyInit_onnxruntime_pybind11_state") : NULL;
  if (!module || !dladdr(module, &owner)) {
    fprintf(stderr, "%s: cannot be loaded: %s\n", library, dlerror());
    abort();
  }
  return (const char *)owner.dli_fbase + offset;
}
