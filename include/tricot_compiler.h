/* The C interface of Tricot's compiler: models to bundles, in memory or on disk. Link with -ltricot, which holds the runtime
 * (tricot.h) as well; then leave -ltricot_runtime out.
 *
 * Made by cbindgen from compiler/capi; do not edit.
 *
 * What tricot.h says about errors, ownership and threads holds here, too. Any number of threads may compile at once.
 *
 * For `sm_90a` the library needs ptxas 13.3 or newer (TRICOT_PTXAS, or on the path), and generates code in this process: LLVM
 * may end the process on a graph it cannot handle. A host that must not die builds its bundles with the `tricot` program.
 */

#ifndef TRICOT_COMPILER_H
#define TRICOT_COMPILER_H

#include "tricot.h"

/**
 * Use every feature of this machine's processor; the bundle may not run on another.
 */
#define TRICOT_COMPILE_NATIVE_CPU 1

/**
 * Use no Winograd transform. By default those are used that pay within the error budget.
 */
#define TRICOT_COMPILE_NO_WINOGRAD 2

/**
 * Hears what is being done, such as `rewriting for cpu`. The string is valid during the call only. It is called on the
 * thread that compiles. It must not call Tricot, except to set a cancel flag, and must not throw or jump out.
 */
typedef void (*TricotProgressCallback)(void *user, const char *what);

/**
 * How a model is compiled. Set all of it to zero first, then `struct_size`; zero is the default of every field.
 */
typedef struct TricotCompileOptions {
  /**
   * `sizeof(TricotCompileOptions)`.
   */
  size_t struct_size;
  /**
   * `TRICOT_COMPILE_` flags, or 0.
   */
  uint32_t flags;
  /**
   * Names of targets, `cpu` and `sm_90a` (the latter where the library was built with it); `cpu` where there are none.
   */
  const char *const *targets;
  /**
   * Number of targets.
   */
  size_t target_count;
  /**
   * Symbols fixed at compile time; they are gone from the bundle.
   */
  const TricotBinding *symbols;
  /**
   * Number of symbols.
   */
  size_t symbol_count;
  /**
   * Paths of safetensors files that graph text refers to.
   */
  const char *const *weights;
  /**
   * Number of weight files.
   */
  size_t weight_count;
  /**
   * Error budget beyond the model's own rounding, relative L2; 0 allows no lossy choice.
   */
  double max_rel_err;
  /**
   * Most bytes the compilation may hold, 0 for any number. What is counted is all memory that this library allocates
   * in the meantime, other threads' work included, but not LLVM's. It is looked at often, not at every allocation: a single
   * step may go beyond for a moment. Above it the compilation ends with `TC0932`.
   */
  uint64_t memory_limit;
  /**
   * Ends the compilation with `TC0931` when it is set; null for none. May be freed as soon as the call is under way.
   */
  const TricotCancel *cancel;
  /**
   * Hears what is being done; null for none.
   */
  TricotProgressCallback progress;
  /**
   * Handed to `progress`.
   */
  void *progress_user;
  /**
   * Folder of compiled bundles, looked up before and added to after compiling; null for none. It is made if need be and must
   * be the user's own. Any number of processes may share it.
   */
  const char *cache;
  /**
   * Most bytes of bundles the folder keeps, 0 for 4 GiB. Those used longest ago go first.
   */
  uint64_t cache_limit;
  /**
   * Declarations of ops that the model may use, as graph text (`op @dialect.name(…) { … }`, with kernels where there are any);
   * null for none. A node `name` of the ONNX domain `dialect` is a call of such an op.
   */
  const char *ops;
} TricotCompileOptions;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Compiles a model file: ONNX (`*.onnx`) or graph text. `options` may be null. `*bundle` is the caller's, to be freed by
 * `tricot_bundle_free`; null after an error. Nothing is written but the cache, where one is given. Any thread.
 *
 * Requires:
 * `path` is null or NUL-terminated UTF-8; `options` is null or valid as its fields say; `bundle` is null or valid for
 * writing.
 */
TRICOT_MUST_USE
TricotError *tricot_compile_path(const char *path,
                                 const struct TricotCompileOptions *options,
                                 TricotBundle **bundle);

/**
 * The same for a model in memory; `bytes` stays the caller's. It is ONNX if `name` ends in `.onnx`, else graph text; apart from
 * that the name is for messages. Any thread.
 *
 * Requires:
 * `name` is null or NUL-terminated UTF-8; `bytes` is null or valid for `count` bytes; the others as for
 * `tricot_compile_path`.
 */
TRICOT_MUST_USE
TricotError *tricot_compile_bytes(const char *name,
                                  const uint8_t *bytes,
                                  size_t count,
                                  const struct TricotCompileOptions *options,
                                  TricotBundle **bundle);

/**
 * Writes a bundle to a file, whole or not at all; an older file is replaced in one step. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `path` is null or NUL-terminated UTF-8.
 */
TRICOT_MUST_USE TricotError *tricot_bundle_save(const TricotBundle *bundle, const char *path);

/**
 * Compiles a model file: ONNX (`*.onnx`) or graph text. `options` may be null. `*bundle` is the caller's, to be freed by
 * `tricot_bundle_free`; null after an error. Nothing is written but the cache, where one is given. Any thread.
 *
 * Requires:
 * `path` is null or NUL-terminated UTF-8; `options` is null or valid as its fields say; `bundle` is null or valid for
 * writing.
 */
TRICOT_MUST_USE
TricotError *tricot_compile_path(const char *path,
                                 const struct TricotCompileOptions *options,
                                 TricotBundle **bundle);

/**
 * The same for a model in memory; `bytes` stays the caller's. It is ONNX if `name` ends in `.onnx`, else graph text; apart from
 * that the name is for messages. Any thread.
 *
 * Requires:
 * `name` is null or NUL-terminated UTF-8; `bytes` is null or valid for `count` bytes; the others as for
 * `tricot_compile_path`.
 */
TRICOT_MUST_USE
TricotError *tricot_compile_bytes(const char *name,
                                  const uint8_t *bytes,
                                  size_t count,
                                  const struct TricotCompileOptions *options,
                                  TricotBundle **bundle);

/**
 * Writes a bundle to a file, whole or not at all; an older file is replaced in one step. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `path` is null or NUL-terminated UTF-8.
 */
TRICOT_MUST_USE TricotError *tricot_bundle_save(const TricotBundle *bundle, const char *path);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TRICOT_COMPILER_H */
