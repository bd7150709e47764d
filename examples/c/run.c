/* Tricot in a C program: opens a bundle, asks what it wants, runs it on the CPU.
 *
 *     cc run.c -I../../include -ltricot_runtime -o run
 *     ./run model.tricot [SYMBOL=N]...
 *
 * Inputs get a fixed pattern; of every output the shape, the root mean square and the first element are printed. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tricot.h"

/* Prints an error, frees it and ends the program. */
static void check(TricotError *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", tricot_error_message(error));
  tricot_error_free(error);
  exit(1);
}

static void *need(void *memory) {
  if (memory == NULL) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memory;
}

/* Memory for a tensor of this shape, all zero. The shape becomes the tensor's. */
static TricotTensor tensor(TricotDType dtype, size_t rank, uint64_t *shape, size_t *elements) {
  *elements = 1;
  for (size_t axis = 0; axis < rank; axis++) *elements *= shape[axis];
  size_t bytes = (*elements * tricot_dtype_bits(dtype) + 7) / 8;
  TricotTensor made = {need(calloc(bytes + 1, 1)), dtype, rank, shape};
  return made;
}

/* The bound shape of an input or output. */
static uint64_t *shape_of(TricotError *(*ask)(const TricotInstance *, size_t, uint64_t *, size_t, size_t *),
                          const TricotInstance *instance, size_t index, size_t rank) {
  uint64_t *shape = need(calloc(rank + 1, sizeof *shape));
  size_t count = 0;
  check(ask(instance, index, shape, rank, &count));
  return shape;
}

static void describe(const char *kind, const TricotPort *port) {
  printf("%s %s %s[", kind, port->name, tricot_dtype_name(port->dtype));
  for (size_t axis = 0; axis < port->rank; axis++) printf("%s%s", axis > 0 ? ", " : "", port->dims[axis]);
  printf("]\n");
}

int main(int count, char **words) {
  if (count < 2) {
    fprintf(stderr, "usage: run BUNDLE [SYMBOL=N]...\n");
    return 2;
  }
  if (tricot_abi_version() != TRICOT_ABI_VERSION) {
    fprintf(stderr, "the library has interface %u, this program was made for %u\n", tricot_abi_version(),
            (unsigned)TRICOT_ABI_VERSION);
    return 1;
  }

  TricotBundle *bundle;
  check(tricot_bundle_open(words[1], &bundle));
  printf("model %s\n", tricot_bundle_name(bundle));

  /* Every symbol gets the value from the command line, or else the one compilation assumed. */
  size_t symbols = tricot_bundle_symbol_count(bundle);
  TricotBinding *bindings = need(calloc(symbols + 1, sizeof *bindings));
  for (size_t i = 0; i < symbols; i++) {
    TricotSymbol symbol;
    check(tricot_bundle_symbol(bundle, i, &symbol));
    bindings[i].name = symbol.name;
    bindings[i].value = symbol.hint;
    for (int w = 2; w < count; w++) {
      size_t length = strlen(symbol.name);
      if (strncmp(words[w], symbol.name, length) == 0 && words[w][length] == '=') {
        bindings[i].value = strtoll(words[w] + length + 1, NULL, 10);
      }
    }
  }

  /* Running a bundle runs the code in it. Whoever starts this program trusts the file; a server would rather call
   * tricot_module_load with the digest it was told. */
  TricotModule *module;
  check(tricot_module_load_trusted(bundle, "cpu", &module));
  TricotInstance *instance;
  check(tricot_instance_create(module, NULL, &instance));
  check(tricot_instance_bind(instance, bindings, symbols));

  size_t inputs = tricot_bundle_input_count(bundle), outputs = tricot_bundle_output_count(bundle), elements;
  TricotTensor *in = need(calloc(inputs + 1, sizeof *in)), *out = need(calloc(outputs + 1, sizeof *out));
  for (size_t i = 0; i < inputs; i++) {
    TricotPort port;
    check(tricot_bundle_input(bundle, i, &port));
    describe("input", &port);
    uint64_t *shape = shape_of(tricot_instance_input_shape, instance, i, port.rank);
    in[i] = tensor(port.dtype, port.rank, shape, &elements);
    for (size_t e = 0; e < elements && port.dtype == TRICOT_DTYPE_F32; e++) {
      ((float *)in[i].data)[e] = (float)((e * 7919 + i * 13) % 1000) / 1000.0f - 0.5f;
    }
  }
  for (size_t i = 0; i < outputs; i++) {
    TricotPort port;
    check(tricot_bundle_output(bundle, i, &port));
    describe("output", &port);
    uint64_t *shape = shape_of(tricot_instance_output_shape, instance, i, port.rank);
    out[i] = tensor(port.dtype, port.rank, shape, &elements);
  }

  check(tricot_instance_run(instance, in, inputs, out, outputs, NULL));

  for (size_t i = 0; i < outputs; i++) {
    TricotPort port;
    check(tricot_bundle_output(bundle, i, &port));
    double sum = 0;
    elements = 1;
    for (size_t axis = 0; axis < out[i].rank; axis++) elements *= out[i].shape[axis];
    for (size_t e = 0; e < elements && port.dtype == TRICOT_DTYPE_F32; e++) {
      double value = ((float *)out[i].data)[e];
      sum += value * value;
    }
    printf("%s rms %.9g first %.9g\n", port.name, elements > 0 ? sqrt(sum / (double)elements) : 0.0,
           elements > 0 && port.dtype == TRICOT_DTYPE_F32 ? ((float *)out[i].data)[0] : 0.0);
  }

  for (size_t i = 0; i < inputs; i++) free(in[i].data), free((void *)in[i].shape);
  for (size_t i = 0; i < outputs; i++) free(out[i].data), free((void *)out[i].shape);
  free(in), free(out), free(bindings);
  tricot_instance_free(instance);
  tricot_module_free(module);
  tricot_bundle_free(bundle);
  return 0;
}
