/* One module on a GPU, many threads: every thread has an instance, a stream, device memory and a workspace of its own.
 *
 *     cc streams.c -I../../include -I$CUDA_HOME/include -ltricot_runtime -lcuda -lpthread -lm -o streams
 *     ./streams model.tricot          (built with --target cpu --target sm_90a)
 *
 * Nothing waits but the last line of a thread. The results must be the same bytes in every thread and run, and close to
 * those of the bundle's cpu code. Inputs are f32. */

#include <cuda.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tricot.h"

enum { THREADS = 8, RUNS = 16, MOST = 16 };

typedef struct {
  const TricotBundle *bundle;
  const TricotModule *module;
  CUcontext context;
  float *result;
  size_t bytes;
  int same;
} Worker;

static void check(TricotError *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", tricot_error_message(error));
  tricot_error_free(error);
  exit(1);
}

static void cuda(CUresult result) {
  const char *text = "unknown";
  if (result == CUDA_SUCCESS) return;
  cuGetErrorString(result, &text);
  fprintf(stderr, "CUDA: %s\n", text);
  exit(1);
}

static size_t bindings(const TricotBundle *bundle, TricotBinding *out) {
  size_t count = tricot_bundle_symbol_count(bundle);
  for (size_t i = 0; i < count; i++) {
    TricotSymbol symbol;
    check(tricot_bundle_symbol(bundle, i, &symbol));
    out[i].name = symbol.name;
    out[i].value = symbol.hint;
  }
  return count;
}

/* The bound shape of a port, with host memory for it; inputs hold a pattern. */
static TricotTensor host(const TricotInstance *instance, const TricotPort *port, size_t index, int output, size_t *bytes) {
  uint64_t *shape = calloc(port->rank + 1, sizeof *shape);
  size_t rank = 0, elements = 1;
  check(output ? tricot_instance_output_shape(instance, index, shape, port->rank, &rank)
               : tricot_instance_input_shape(instance, index, shape, port->rank, &rank));
  for (size_t axis = 0; axis < rank; axis++) elements *= shape[axis];
  *bytes = (elements * tricot_dtype_bits(port->dtype) + 7) / 8;
  TricotTensor made = {calloc(*bytes + 1, 1), port->dtype, rank, shape};
  for (size_t e = 0; e < elements && !output && port->dtype == TRICOT_DTYPE_F32; e++) {
    ((float *)made.data)[e] = (float)(e * 37 % 101) / 101.0f - 0.5f;
  }
  return made;
}

/* A run of the first output on the cpu, to compare with. */
static float *reference(const TricotBundle *bundle, size_t *bytes) {
  TricotModule *module;
  TricotInstance *instance;
  TricotBinding symbols[MOST];
  TricotTensor in[MOST], out[MOST];
  TricotPort port;
  check(tricot_module_load_trusted(bundle, "cpu", &module));
  check(tricot_instance_create(module, NULL, &instance));
  check(tricot_instance_bind(instance, symbols, bindings(bundle, symbols)));
  size_t inputs = tricot_bundle_input_count(bundle), outputs = tricot_bundle_output_count(bundle), size;
  for (size_t i = 0; i < inputs; i++) {
    check(tricot_bundle_input(bundle, i, &port));
    in[i] = host(instance, &port, i, 0, &size);
  }
  for (size_t i = 0; i < outputs; i++) {
    check(tricot_bundle_output(bundle, i, &port));
    out[i] = host(instance, &port, i, 1, i == 0 ? bytes : &size);
  }
  check(tricot_instance_run(instance, in, inputs, out, outputs, NULL));
  for (size_t i = 0; i < inputs; i++) free(in[i].data), free((void *)in[i].shape);
  for (size_t i = 1; i < outputs; i++) free(out[i].data);
  for (size_t i = 0; i < outputs; i++) free((void *)out[i].shape);
  tricot_instance_free(instance);
  tricot_module_free(module);
  return out[0].data;
}

static void *work(void *argument) {
  Worker *worker = argument;
  TricotInstance *instance;
  TricotBinding symbols[MOST];
  TricotTensor in[MOST], out[MOST];
  TricotPort port;
  CUstream stream;
  CUdeviceptr memory, workspace = 0;
  uint64_t needed;
  cuda(cuCtxSetCurrent(worker->context));
  cuda(cuStreamCreate(&stream, CU_STREAM_NON_BLOCKING));
  check(tricot_instance_create(worker->module, NULL, &instance));
  size_t count = bindings(worker->bundle, symbols);
  check(tricot_module_workspace_bytes(worker->module, symbols, count, &needed));
  if (needed > 0) {
    cuda(cuMemAlloc(&workspace, needed));
    check(tricot_instance_set_workspace(instance, (void *)workspace, needed));
  }
  check(tricot_instance_bind(instance, symbols, count));
  size_t inputs = tricot_bundle_input_count(worker->bundle), outputs = tricot_bundle_output_count(worker->bundle), bytes;
  for (size_t i = 0; i < inputs; i++) {
    check(tricot_bundle_input(worker->bundle, i, &port));
    in[i] = host(instance, &port, i, 0, &bytes);
    cuda(cuMemAlloc(&memory, bytes + 1));
    cuda(cuMemcpyHtoD(memory, in[i].data, bytes));
    free(in[i].data);
    in[i].data = (void *)memory;
  }
  for (size_t i = 0; i < outputs; i++) {
    check(tricot_bundle_output(worker->bundle, i, &port));
    out[i] = host(instance, &port, i, 1, &bytes);
    if (i == 0) worker->bytes = bytes;
    free(out[i].data);
    cuda(cuMemAlloc(&memory, bytes + 1));
    out[i].data = (void *)memory;
  }
  /* Copies from pageable memory may still be under way in the default stream. */
  cuda(cuCtxSynchronize());
  TricotRunOptions options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.flags = TRICOT_RUN_STREAM | TRICOT_RUN_ASYNC;
  options.stream = stream;
  char *copies = calloc(RUNS, worker->bytes + 1);
  for (int run = 0; run < RUNS; run++) {
    cuda(cuMemsetD8Async((CUdeviceptr)out[0].data, 0xff, worker->bytes, stream));
    check(tricot_instance_run(instance, in, inputs, out, outputs, &options));
    cuda(cuMemcpyDtoHAsync(copies + run * worker->bytes, (CUdeviceptr)out[0].data, worker->bytes, stream));
  }
  cuda(cuStreamSynchronize(stream));
  worker->same = 1;
  for (int run = 1; run < RUNS; run++) worker->same &= memcmp(copies, copies + run * worker->bytes, worker->bytes) == 0;
  worker->result = (float *)copies;
  tricot_instance_free(instance);
  for (size_t i = 0; i < inputs; i++) cuMemFree((CUdeviceptr)in[i].data), free((void *)in[i].shape);
  for (size_t i = 0; i < outputs; i++) cuMemFree((CUdeviceptr)out[i].data), free((void *)out[i].shape);
  if (workspace != 0) cuda(cuMemFree(workspace));
  cuda(cuStreamDestroy(stream));
  return NULL;
}

int main(int count, char **words) {
  if (count != 2) {
    fprintf(stderr, "usage: streams BUNDLE\n");
    return 2;
  }
  CUdevice device;
  CUcontext context;
  cuda(cuInit(0));
  cuda(cuDeviceGet(&device, 0));
  cuda(cuDevicePrimaryCtxRetain(&context, device));
  cuda(cuCtxSetCurrent(context));
  TricotBundle *bundle;
  TricotModule *module;
  check(tricot_bundle_open(words[1], &bundle));
  TricotPort port;
  check(tricot_bundle_output(bundle, 0, &port));
  if (tricot_bundle_symbol_count(bundle) > MOST || tricot_bundle_input_count(bundle) > MOST ||
      tricot_bundle_output_count(bundle) > MOST || port.dtype != TRICOT_DTYPE_F32) {
    fprintf(stderr, "this example is made for models with an f32 output and at most %d ports and symbols\n", MOST);
    return 1;
  }
  size_t bytes;
  float *expected = reference(bundle, &bytes);
  check(tricot_module_load_trusted(bundle, "cuda:0", &module));
  pthread_t threads[THREADS];
  Worker workers[THREADS];
  for (int i = 0; i < THREADS; i++) {
    Worker worker = {bundle, module, context, NULL, 0, 0};
    workers[i] = worker;
    if (pthread_create(&threads[i], NULL, work, &workers[i]) != 0) return 1;
  }
  int same = 1;
  for (int i = 0; i < THREADS; i++) {
    pthread_join(threads[i], NULL);
    same &= workers[i].same && workers[i].bytes == bytes && memcmp(workers[i].result, workers[0].result, bytes) == 0;
  }
  double off = 0.0, size = 0.0;
  for (size_t e = 0; e < bytes / sizeof(float); e++) {
    double difference = (double)workers[0].result[e] - expected[e];
    off += difference * difference;
    size += (double)expected[e] * expected[e];
  }
  double error = sqrt(off / size);
  printf("%d threads, %d runs each, %zu bytes: %s; relative error against cpu %.1e\n", THREADS, RUNS, bytes,
         same ? "equal" : "DIFFERENT", error);
  for (int i = 0; i < THREADS; i++) free(workers[i].result);
  free(expected);
  tricot_module_free(module);
  tricot_bundle_free(bundle);
  cuda(cuDevicePrimaryCtxRelease(device));
  /* NaN is not below. */
  return same && error < 1e-5 ? 0 : 1;
}
