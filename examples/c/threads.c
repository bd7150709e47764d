/* One module, many threads: the module is shared, every thread has an instance of its own.
 *
 *     cc threads.c -I../../include -ltricot_runtime -lpthread -o threads
 *     ./threads model.tricot
 *
 * Every thread runs the model on the same inputs several times; all results must be the same bytes. On a GPU each thread
 * would name a stream of its own in TricotRunOptions. */

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tricot.h"

enum { THREADS = 4, RUNS = 8, MOST = 16 };

typedef struct {
  const TricotBundle *bundle;
  const TricotModule *module;
  /* The bytes of the first output, and whether all runs gave the same. */
  unsigned char *result;
  size_t bytes;
  int same;
} Worker;

static void check(TricotError *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", tricot_error_message(error));
  tricot_error_free(error);
  exit(1);
}

/* A tensor with room for the bound shape. */
static TricotTensor tensor(const TricotInstance *instance, const TricotPort *port, size_t index, int output,
                           size_t *bytes) {
  uint64_t *shape = calloc(port->rank + 1, sizeof *shape);
  size_t rank = 0, elements = 1;
  if (output) {
    check(tricot_instance_output_shape(instance, index, shape, port->rank, &rank));
  } else {
    check(tricot_instance_input_shape(instance, index, shape, port->rank, &rank));
  }
  for (size_t axis = 0; axis < rank; axis++) elements *= shape[axis];
  *bytes = (elements * tricot_dtype_bits(port->dtype) + 7) / 8;
  TricotTensor made = {calloc(*bytes + 1, 1), port->dtype, rank, shape};
  for (size_t e = 0; e < elements && !output && port->dtype == TRICOT_DTYPE_F32; e++) {
    ((float *)made.data)[e] = (float)(e % 17) - 8.0f;
  }
  return made;
}

static void *work(void *argument) {
  Worker *worker = argument;
  TricotInstance *instance;
  check(tricot_instance_create(worker->module, NULL, &instance));
  TricotBinding bindings[MOST];
  size_t symbols = tricot_bundle_symbol_count(worker->bundle);
  for (size_t i = 0; i < symbols; i++) {
    TricotSymbol symbol;
    check(tricot_bundle_symbol(worker->bundle, i, &symbol));
    bindings[i].name = symbol.name;
    bindings[i].value = symbol.hint;
  }
  check(tricot_instance_bind(instance, bindings, symbols));
  TricotTensor in[MOST], out[MOST];
  TricotPort port;
  size_t inputs = tricot_bundle_input_count(worker->bundle), outputs = tricot_bundle_output_count(worker->bundle);
  size_t bytes, first = 0;
  for (size_t i = 0; i < inputs; i++) {
    check(tricot_bundle_input(worker->bundle, i, &port));
    in[i] = tensor(instance, &port, i, 0, &bytes);
  }
  for (size_t i = 0; i < outputs; i++) {
    check(tricot_bundle_output(worker->bundle, i, &port));
    out[i] = tensor(instance, &port, i, 1, &bytes);
    if (i == 0) first = bytes;
  }
  worker->bytes = first;
  worker->result = calloc(first + 1, 1);
  worker->same = 1;
  for (int run = 0; run < RUNS; run++) {
    memset(out[0].data, 0xff, first);
    check(tricot_instance_run(instance, in, inputs, out, outputs, NULL));
    if (run == 0) memcpy(worker->result, out[0].data, first);
    worker->same &= memcmp(worker->result, out[0].data, first) == 0;
  }
  for (size_t i = 0; i < inputs; i++) free(in[i].data), free((void *)in[i].shape);
  for (size_t i = 0; i < outputs; i++) free(out[i].data), free((void *)out[i].shape);
  tricot_instance_free(instance);
  return NULL;
}

int main(int count, char **words) {
  if (count != 2) {
    fprintf(stderr, "usage: threads BUNDLE\n");
    return 2;
  }
  TricotBundle *bundle;
  TricotModule *module;
  check(tricot_bundle_open(words[1], &bundle));
  if (tricot_bundle_symbol_count(bundle) > MOST || tricot_bundle_input_count(bundle) > MOST ||
      tricot_bundle_output_count(bundle) > MOST) {
    fprintf(stderr, "this example is made for models with at most %d inputs, outputs and symbols\n", MOST);
    return 1;
  }
  check(tricot_module_load_trusted(bundle, "cpu", &module));
  pthread_t threads[THREADS];
  Worker workers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    Worker worker = {bundle, module, NULL, 0, 0};
    workers[i] = worker;
    if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) return 1;
  }
  int same = 1;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    same &= workers[i].same && workers[i].bytes == workers[0].bytes &&
            memcmp(workers[i].result, workers[0].result, workers[0].bytes) == 0;
  }
  printf("%d threads, %d runs each, %zu bytes: %s\n", THREADS, RUNS, workers[0].bytes, same ? "equal" : "DIFFERENT");
  for (int i = 0; i < THREADS; i++) free(workers[i].result);
  tricot_module_free(module);
  tricot_bundle_free(bundle);
  return same ? 0 : 1;
}
