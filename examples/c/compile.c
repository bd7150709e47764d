/* Tricot as a JIT in a C program: compiles graph text in memory, runs it, compares with a plain loop.
 *
 *     cc compile.c -I../../include -ltricot -lm -o compile
 *     ./compile [CACHE FOLDER]
 *
 * The graph is y = relu(x w)^2 for any number of rows. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tricot_compiler.h"

enum { ROWS = 5, WIDTH = 8 };

static const char MODEL[] =
    "module @layer\n"
    "symbol rows\n"
    "\n"
    "func @main(%x: f32[rows, 8], %w: f32[8, 8]) {\n"
    "  %h = core.contract %x, %w {dtype = f32, spec = \"ri,io->ro\"} : f32[rows, 8]\n"
    "  %r = core.map %h {fn = \"relu\"} : f32[rows, 8]\n"
    "  %y = core.map %r {fn = \"square\"} : f32[rows, 8]\n"
    "  return \"y\" = %y\n"
    "}\n";

static void check(TricotError *error) {
  if (error == NULL) return;
  fprintf(stderr, "%s\n", tricot_error_message(error));
  tricot_error_free(error);
  exit(1);
}

static void progress(void *user, const char *what) {
  (void)user;
  printf("%s\n", what);
}

int main(int count, char **words) {
  TricotCompileOptions options;
  memset(&options, 0, sizeof options);
  options.struct_size = sizeof options;
  options.progress = progress;
  options.memory_limit = UINT64_C(1) << 30;
  options.cache = count > 1 ? words[1] : NULL;

  TricotBundle *bundle;
  check(tricot_compile_bytes("layer.tri", (const uint8_t *)MODEL, sizeof MODEL - 1, &options, &bundle));
  /* This very program compiled it a moment ago, so its code is trusted. */
  TricotModule *module;
  check(tricot_module_load_trusted(bundle, "cpu", &module));
  TricotInstance *instance;
  check(tricot_instance_create(module, NULL, &instance));

  float x[ROWS][WIDTH], w[WIDTH][WIDTH], y[ROWS][WIDTH];
  for (int r = 0; r < ROWS; r++) {
    for (int c = 0; c < WIDTH; c++) x[r][c] = (float)((r * 31 + c * 17) % 13) / 13.0f - 0.5f;
  }
  for (int r = 0; r < WIDTH; r++) {
    for (int c = 0; c < WIDTH; c++) w[r][c] = (float)((r * 7 + c * 11) % 9) / 9.0f - 0.4f;
  }
  const uint64_t x_shape[] = {ROWS, WIDTH}, w_shape[] = {WIDTH, WIDTH};
  TricotTensor inputs[] = {{x, TRICOT_DTYPE_F32, 2, x_shape}, {w, TRICOT_DTYPE_F32, 2, w_shape}};
  TricotTensor outputs[] = {{y, TRICOT_DTYPE_F32, 2, x_shape}};
  check(tricot_instance_run(instance, inputs, 2, outputs, 1, NULL));

  double difference = 0, norm = 0;
  for (int r = 0; r < ROWS; r++) {
    for (int c = 0; c < WIDTH; c++) {
      double sum = 0;
      for (int k = 0; k < WIDTH; k++) sum += (double)x[r][k] * w[k][c];
      double want = sum > 0 ? sum * sum : 0;
      difference += (y[r][c] - want) * (y[r][c] - want);
      norm += want * want;
    }
  }
  double error = sqrt(difference / norm);
  printf("relative error %.1e\n", error);
  tricot_instance_free(instance);
  tricot_module_free(module);
  tricot_bundle_free(bundle);
  return error <= 1e-5 ? 0 : 1;
}
