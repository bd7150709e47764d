/* The C interface of Tricot's runtime: loads `.tricot` bundles and runs them. Link with -ltricot_runtime, or with
 * -ltricot, which compiles models as well (tricot_compiler.h).
 *
 * Made by cbindgen from runtime/capi; do not edit.
 *
 * ERRORS. A function that can fail returns NULL, or an error that the caller owns and frees with tricot_error_free. Nothing
 * else is changed by a call that fails, except that the handle it would have made becomes NULL. A pointer that is NULL or
 * misaligned, text that is not UTF-8 and numbers that cannot be are errors, too (TC089x). A pointer to memory that is not
 * there cannot be told from a good one.
 *
 * OWNERSHIP. Every handle is made by one function and freed by one other, once. Arguments stay the caller's and are not
 * kept after the call unless the function says so. Strings that functions return belong to the handle they were asked of.
 *
 * THREADS. Bundles, modules, cancel flags and errors may be used by any number of threads at once; freeing one needs it to
 * be unused. An instance belongs to one thread at a time: share the module and make an instance for each thread or stream.
 *
 * TRUST. Opening and describing a bundle is safe for any bytes. Running one runs the machine code in it with the rights of
 * this process. So loading asks for the digest of the bundle you mean (tricot_module_load), or is called what it is:
 * tricot_module_load_trusted.
 */

#ifndef TRICOT_H
#define TRICOT_H

#include <stddef.h>
#include <stdint.h>
#if defined(__GNUC__) || defined(__clang__)
#define TRICOT_MUST_USE __attribute__((warn_unused_result))
#else
#define TRICOT_MUST_USE
#endif

/**
 * Most dimensions a tensor may have here.
 */
#define TRICOT_MAX_RANK 64

/**
 * Version of this interface. A library serves programs that were compiled with its own version only.
 */
#define TRICOT_ABI_VERSION 1

/**
 * Nothing is logged.
 */
#define TRICOT_LOG_OFF 0

#define TRICOT_LOG_ERROR 1

#define TRICOT_LOG_WARN 2

#define TRICOT_LOG_INFO 3

#define TRICOT_LOG_DEBUG 4

#define TRICOT_LOG_TRACE 5

/**
 * Queue on `TricotRunOptions.stream` and do not wait: the outputs are complete when the stream has got there.
 */
#define TRICOT_RUN_ASYNC 1

/**
 * Use `TricotRunOptions.stream` (which may be 0, the legacy default stream), not the instance's own stream.
 */
#define TRICOT_RUN_STREAM 2

/**
 * Launch every kernel by itself instead of replaying CUDA graphs.
 */
#define TRICOT_RUN_NO_GRAPHS 4

/**
 * Wait after every step, so that a failure names its kernel.
 */
#define TRICOT_RUN_BLOCKING 8

/**
 * An opened bundle: checked, not loaded. Immutable; any number of threads may use it at once.
 */
typedef struct TricotBundle TricotBundle;

/**
 * A flag that stops work. Any thread may set it, at any time; one flag may serve many runs and compilations.
 */
typedef struct TricotCancel TricotCancel;

/**
 * What went wrong: every problem that was found, in the order it was found. Immutable; any thread may read it.
 */
typedef struct TricotError TricotError;

/**
 * A module with memory. One thread at a time may use it; it may move between threads. Use by two threads at once is an
 * error (`TC0894`), not a crash, as long as none of them frees it.
 */
typedef struct TricotInstance TricotInstance;

/**
 * Code on a device. Immutable; any number of threads may use it at once, on any number of streams, each with an instance
 * of its own.
 */
typedef struct TricotModule TricotModule;

/**
 * An element type: one of the `TRICOT_DTYPE_` constants.
 */
typedef uint32_t TricotDType;

/**
 * An input or output. The pointers belong to the bundle and live as long as it does.
 */
typedef struct TricotPort {
  /**
   * Name, NUL-terminated UTF-8.
   */
  const char *name;
  /**
   * Element type.
   */
  TricotDType dtype;
  /**
   * Number of dimensions.
   */
  size_t rank;
  /**
   * Sizes of the dimensions; -1 for those that depend on symbols.
   */
  const int64_t *sizes;
  /**
   * Sizes as text, such as `4*s`.
   */
  const char *const *dims;
  /**
   * For an output: index of the input whose memory it may share; -1 for none.
   */
  int64_t alias;
} TricotPort;

/**
 * A symbol and what a value of it must keep. The name belongs to the bundle and lives as long as it does.
 */
typedef struct TricotSymbol {
  /**
   * Name, NUL-terminated.
   */
  const char *name;
  /**
   * Smallest value.
   */
  int64_t min;
  /**
   * Largest value; `INT64_MAX` where there is no limit.
   */
  int64_t max;
  /**
   * Every value is a multiple of this.
   */
  int64_t multiple;
  /**
   * The value that compilation assumed.
   */
  int64_t hint;
} TricotSymbol;

/**
 * Where an instance takes its workspace from. The functions are called on the thread that binds, runs or frees the
 * instance, never by two threads at once for one instance; an allocator shared by several instances must stand calls
 * from all their threads. They must not call Tricot, and must not throw or jump out.
 */
typedef struct TricotAllocator {
  /**
   * Handed to both functions; Tricot never looks at it. It must live until the last instance with it is freed.
   */
  void *user;
  /**
   * Memory on the module's device: its address, aligned to `align` bytes (a power of two, 256 at present), or null when
   * there is none.
   */
  void *(*allocate)(void *user, uint64_t bytes, uint64_t align);
  /**
   * Takes back what `allocate` gave. No work uses it any more.
   */
  void (*free)(void *user, void *pointer, uint64_t bytes);
} TricotAllocator;

/**
 * A symbol and its value.
 */
typedef struct TricotBinding {
  /**
   * The symbol's name, NUL-terminated.
   */
  const char *name;
  /**
   * Its value.
   */
  int64_t value;
} TricotBinding;

/**
 * A dense row-major tensor in the caller's memory. Tricot reads inputs, writes outputs, and keeps no pointer to either
 * after the work is complete.
 */
typedef struct TricotTensor {
  /**
   * Address of the first element, aligned to the element's size on `cpu` and to 16 bytes on `cuda`; may be null where
   * there are no elements.
   */
  void *data;
  /**
   * Element type.
   */
  TricotDType dtype;
  /**
   * Number of dimensions, at most 64.
   */
  size_t rank;
  /**
   * Sizes of the dimensions; may be null where there are none.
   */
  const uint64_t *shape;
} TricotTensor;

/**
 * How a run is carried out. Set all of it to zero first, then `struct_size`. On `cpu` only `cancel` matters: a run there
 * is complete when the call returns.
 */
typedef struct TricotRunOptions {
  /**
   * `sizeof(TricotRunOptions)`.
   */
  size_t struct_size;
  /**
   * `TRICOT_RUN_` flags, or 0.
   */
  uint32_t flags;
  /**
   * A `CUstream` or `cudaStream_t` of the module's device. It may be capturing. Stays the caller's.
   */
  void *stream;
  /**
   * Stops the run between two steps when it is set; null for none. May be freed as soon as the run is under way.
   */
  const struct TricotCancel *cancel;
} TricotRunOptions;

/**
 * Hears a message: its level, the part of Tricot it comes from, its text. The strings are valid during the call only. Any
 * thread may call it, several at once, Tricot's own worker threads among them. It must not call Tricot, and must not throw
 * or jump out.
 */
typedef void (*TricotLogCallback)(void *user, uint32_t level, const char *target, const char *message);

#define TRICOT_DTYPE_F64 1

#define TRICOT_DTYPE_F32 2

#define TRICOT_DTYPE_F16 3

#define TRICOT_DTYPE_BF16 4

/**
 * OCP 8-bit float, 4 exponent and 3 mantissa bits, no infinities.
 */
#define TRICOT_DTYPE_F8E4M3 5

/**
 * OCP 8-bit float, 5 exponent and 2 mantissa bits.
 */
#define TRICOT_DTYPE_F8E5M2 6

#define TRICOT_DTYPE_I64 7

#define TRICOT_DTYPE_I32 8

#define TRICOT_DTYPE_I16 9

#define TRICOT_DTYPE_I8 10

/**
 * Two to a byte, the lower index in the low bits.
 */
#define TRICOT_DTYPE_I4 11

#define TRICOT_DTYPE_U64 12

#define TRICOT_DTYPE_U32 13

#define TRICOT_DTYPE_U16 14

#define TRICOT_DTYPE_U8 15

/**
 * Two to a byte, the lower index in the low bits.
 */
#define TRICOT_DTYPE_U4 16

/**
 * One byte an element, 0 or 1.
 */
#define TRICOT_DTYPE_BOOL 17

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Opens a bundle file and checks it; safe for any bytes. `*bundle` is the caller's, to be freed by `tricot_bundle_free`;
 * null after an error. The file must stay as it is while the bundle or a module of it lives; replacing it by a rename is
 * fine. Any thread.
 *
 * Requires:
 * `path` is null or NUL-terminated UTF-8; `bundle` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_open(const char *path,
                                       struct TricotBundle **bundle);

/**
 * The same from memory. The bytes are copied; `bytes` stays the caller's. `name` is for messages. Weights outside the
 * bundle cannot be found from here (`TC0710` when they are needed). Any thread.
 *
 * Requires:
 * `name` is null or NUL-terminated UTF-8; `bytes` is null or valid for `count` bytes; `bundle` is null or valid for
 * writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_from_bytes(const char *name,
                                             const uint8_t *bytes,
                                             size_t count,
                                             struct TricotBundle **bundle);

/**
 * Frees a bundle and every pointer got from it; null is fine. Modules of it live on. Once, from any thread.
 *
 * Requires:
 * `bundle` is null or a bundle not yet freed, which no other thread uses.
 */
void tricot_bundle_free(struct TricotBundle *bundle);

/**
 * Checks every byte of the bundle against the digests in its manifest; otherwise each entry is checked before its first
 * use. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
TRICOT_MUST_USE struct TricotError *tricot_bundle_verify(const struct TricotBundle *bundle);

/**
 * Writes the bundle's digest, which stands for all its bytes: 32 bytes of blake3, as `tricot inspect` shows them. Any
 * thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `digest` is null or valid for writing 32 bytes.
 */
TRICOT_MUST_USE struct TricotError *tricot_bundle_digest(const struct TricotBundle *bundle, uint8_t *digest);

/**
 * The bundle's own bytes, to be stored or sent; `*bytes` belongs to the bundle. Weights that are files beside the bundle
 * are not among them. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `bytes` and `count` are null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_bytes(const struct TricotBundle *bundle,
                                        const uint8_t **bytes,
                                        size_t *count);

/**
 * Name of the model. Belongs to the bundle; null when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
const char *tricot_bundle_name(const struct TricotBundle *bundle);

/**
 * Version of Tricot that wrote the bundle. Belongs to the bundle; null when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
const char *tricot_bundle_version(const struct TricotBundle *bundle);

/**
 * Number of inputs; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_input_count(const struct TricotBundle *bundle);

/**
 * Number of outputs; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_output_count(const struct TricotBundle *bundle);

/**
 * Number of symbols; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_symbol_count(const struct TricotBundle *bundle);

/**
 * Number of targets the bundle has code for; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_target_count(const struct TricotBundle *bundle);

/**
 * Describes an input. `port`'s pointers belong to the bundle. `TC0893` when there is no such input. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `port` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_input(const struct TricotBundle *bundle,
                                        size_t index,
                                        struct TricotPort *port);

/**
 * Describes an output. `port`'s pointers belong to the bundle. `TC0893` when there is no such output. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `port` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_output(const struct TricotBundle *bundle,
                                         size_t index,
                                         struct TricotPort *port);

/**
 * Describes a symbol; they are in alphabetical order. `symbol->name` belongs to the bundle. `TC0893` when there is no such
 * symbol. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `symbol` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_symbol(const struct TricotBundle *bundle,
                                         size_t index,
                                         struct TricotSymbol *symbol);

/**
 * Name of a target, `cpu` or `sm_90a`. Belongs to the bundle; null when there is no such target. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
const char *tricot_bundle_target(const struct TricotBundle *bundle, size_t index);

/**
 * The type's name, such as `bf16`. The string is static; null when there is no such type. Any thread.
 */
const char *tricot_dtype_name(TricotDType dtype);

/**
 * Bits of one element; 0 when there is no such type. Any thread.
 */
uint32_t tricot_dtype_bits(TricotDType dtype);

/**
 * Code of the first problem, such as `TC0804`. Belongs to the error; null when `error` is null. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_code(const struct TricotError *error);

/**
 * The messages of all problems, one after the other, each with its code, the place, the value, the limit and the way out.
 * UTF-8, several lines. Belongs to the error; null when `error` is null. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_message(const struct TricotError *error);

/**
 * Number of problems found; 0 when `error` is null. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
size_t tricot_error_count(const struct TricotError *error);

/**
 * Code of one problem. Belongs to the error; null when there is no such problem. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_item_code(const struct TricotError *error, size_t index);

/**
 * Message of one problem. Belongs to the error; null when there is no such problem. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_item_message(const struct TricotError *error, size_t index);

/**
 * Frees an error and its strings; null is fine. Once, from any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed, and no other thread reads it.
 */
void tricot_error_free(struct TricotError *error);

/**
 * Makes an instance of a module. `allocator` gives its workspace; null for Tricot's own. `*instance` is the caller's, to be
 * freed by `tricot_instance_free`; null after an error. The module may be freed at once. Any thread.
 *
 * Requires:
 * `module` is null or a live module; `allocator` is null or valid for reading; `instance` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_create(const struct TricotModule *module,
                                           const struct TricotAllocator *allocator,
                                           struct TricotInstance **instance);

/**
 * Frees an instance and its workspace; null is fine. Waits for work that still uses them. Once, from any thread.
 *
 * Requires:
 * `instance` is null or an instance not yet freed, which no other thread uses.
 */
void tricot_instance_free(struct TricotInstance *instance);

/**
 * Uses the caller's memory as workspace: on the module's device, 256-byte aligned (`TC0810`). It stays the caller's, is used
 * by this instance alone while runs are under way, and must outlive the instance or be replaced by another call.
 * `tricot_module_workspace_bytes` tells how much is needed. One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; the workspace is valid as said.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_set_workspace(struct TricotInstance *instance,
                                                  void *workspace,
                                                  uint64_t bytes);

/**
 * Gives symbols their values and makes memory ready. The values stay in force for symbols that no input's shape
 * determines; a run takes the others from its inputs. One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; `symbols` is null or valid for `count` bindings with NUL-terminated names.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_bind(struct TricotInstance *instance,
                                         const struct TricotBinding *symbols,
                                         size_t count);

/**
 * The same with values taken from the inputs' shapes; `data` is not looked at. One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; `inputs` is null or valid for `count` tensors with valid shapes.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_bind_shapes(struct TricotInstance *instance,
                                                const struct TricotTensor *inputs,
                                                size_t count);

/**
 * The shape an input has under the last binding. `shape` has room for `capacity` sizes; `*count` becomes their number,
 * also when they do not fit (`TC0893`). One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; `shape` is null or valid for `capacity` values; `count` is null or valid for
 * writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_input_shape(const struct TricotInstance *instance,
                                                size_t index,
                                                uint64_t *shape,
                                                size_t capacity,
                                                size_t *count);

/**
 * The shape an output has under the last binding; otherwise as `tricot_instance_input_shape`. One thread at a time.
 *
 * Requires:
 * As `tricot_instance_input_shape`.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_output_shape(const struct TricotInstance *instance,
                                                 size_t index,
                                                 uint64_t *shape,
                                                 size_t capacity,
                                                 size_t *count);

/**
 * Runs on memory of the module's device: host memory for `cpu`, device memory for `cuda`. Inputs and outputs are in the
 * bundle's order; symbols are bound from the inputs' shapes. No output may overlap an input or another output, except one
 * at the very address of the input it aliases. `options` may be null. After an error the outputs' contents are undefined.
 * With `TRICOT_RUN_ASYNC` the tensors and the workspace must stay as they are until the stream has got there. One thread at
 * a time.
 *
 * Requires:
 * `instance` is null or a live instance; `inputs` and `outputs` are null or valid for their counts, with valid shapes and
 * with data valid for the bytes of dtype and shape; `options` is null or valid for reading.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_run(struct TricotInstance *instance,
                                        const struct TricotTensor *inputs,
                                        size_t input_count,
                                        const struct TricotTensor *outputs,
                                        size_t output_count,
                                        const struct TricotRunOptions *options);

/**
 * Runs on host memory, whatever the device: on `cuda` inputs are copied there and outputs back, and the call returns when
 * they are complete (`TRICOT_RUN_ASYNC` is refused). Otherwise as `tricot_instance_run`. One thread at a time.
 *
 * Requires:
 * As `tricot_instance_run`, with data in host memory.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_run_host(struct TricotInstance *instance,
                                             const struct TricotTensor *inputs,
                                             size_t input_count,
                                             const struct TricotTensor *outputs,
                                             size_t output_count,
                                             const struct TricotRunOptions *options);

/**
 * Version of the interface the library has; compare it with `TRICOT_ABI_VERSION` before any other call. Any thread.
 */
uint32_t tricot_abi_version(void);

/**
 * Version of Tricot, such as `0.1.0`. The string is static; do not free it. Any thread.
 */
const char *tricot_version(void);

/**
 * Version of the bundle format this library reads; bundles of any other are refused (`TC0705`). Any thread.
 */
uint32_t tricot_bundle_format(void);

/**
 * Opens a bundle file and checks it; safe for any bytes. `*bundle` is the caller's, to be freed by `tricot_bundle_free`;
 * null after an error. The file must stay as it is while the bundle or a module of it lives; replacing it by a rename is
 * fine. Any thread.
 *
 * Requires:
 * `path` is null or NUL-terminated UTF-8; `bundle` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_open(const char *path,
                                       struct TricotBundle **bundle);

/**
 * The same from memory. The bytes are copied; `bytes` stays the caller's. `name` is for messages. Weights outside the
 * bundle cannot be found from here (`TC0710` when they are needed). Any thread.
 *
 * Requires:
 * `name` is null or NUL-terminated UTF-8; `bytes` is null or valid for `count` bytes; `bundle` is null or valid for
 * writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_from_bytes(const char *name,
                                             const uint8_t *bytes,
                                             size_t count,
                                             struct TricotBundle **bundle);

/**
 * Frees a bundle and every pointer got from it; null is fine. Modules of it live on. Once, from any thread.
 *
 * Requires:
 * `bundle` is null or a bundle not yet freed, which no other thread uses.
 */
void tricot_bundle_free(struct TricotBundle *bundle);

/**
 * Checks every byte of the bundle against the digests in its manifest; otherwise each entry is checked before its first
 * use. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
TRICOT_MUST_USE struct TricotError *tricot_bundle_verify(const struct TricotBundle *bundle);

/**
 * Writes the bundle's digest, which stands for all its bytes: 32 bytes of blake3, as `tricot inspect` shows them. Any
 * thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `digest` is null or valid for writing 32 bytes.
 */
TRICOT_MUST_USE struct TricotError *tricot_bundle_digest(const struct TricotBundle *bundle, uint8_t *digest);

/**
 * The bundle's own bytes, to be stored or sent; `*bytes` belongs to the bundle. Weights that are files beside the bundle
 * are not among them. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `bytes` and `count` are null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_bytes(const struct TricotBundle *bundle,
                                        const uint8_t **bytes,
                                        size_t *count);

/**
 * Name of the model. Belongs to the bundle; null when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
const char *tricot_bundle_name(const struct TricotBundle *bundle);

/**
 * Version of Tricot that wrote the bundle. Belongs to the bundle; null when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
const char *tricot_bundle_version(const struct TricotBundle *bundle);

/**
 * Number of inputs; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_input_count(const struct TricotBundle *bundle);

/**
 * Number of outputs; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_output_count(const struct TricotBundle *bundle);

/**
 * Number of symbols; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_symbol_count(const struct TricotBundle *bundle);

/**
 * Number of targets the bundle has code for; 0 when `bundle` is null. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
size_t tricot_bundle_target_count(const struct TricotBundle *bundle);

/**
 * Describes an input. `port`'s pointers belong to the bundle. `TC0893` when there is no such input. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `port` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_input(const struct TricotBundle *bundle,
                                        size_t index,
                                        struct TricotPort *port);

/**
 * Describes an output. `port`'s pointers belong to the bundle. `TC0893` when there is no such output. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `port` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_output(const struct TricotBundle *bundle,
                                         size_t index,
                                         struct TricotPort *port);

/**
 * Describes a symbol; they are in alphabetical order. `symbol->name` belongs to the bundle. `TC0893` when there is no such
 * symbol. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `symbol` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_bundle_symbol(const struct TricotBundle *bundle,
                                         size_t index,
                                         struct TricotSymbol *symbol);

/**
 * Name of a target, `cpu` or `sm_90a`. Belongs to the bundle; null when there is no such target. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle.
 */
const char *tricot_bundle_target(const struct TricotBundle *bundle, size_t index);

/**
 * The type's name, such as `bf16`. The string is static; null when there is no such type. Any thread.
 */
const char *tricot_dtype_name(TricotDType dtype);

/**
 * Bits of one element; 0 when there is no such type. Any thread.
 */
uint32_t tricot_dtype_bits(TricotDType dtype);

/**
 * Code of the first problem, such as `TC0804`. Belongs to the error; null when `error` is null. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_code(const struct TricotError *error);

/**
 * The messages of all problems, one after the other, each with its code, the place, the value, the limit and the way out.
 * UTF-8, several lines. Belongs to the error; null when `error` is null. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_message(const struct TricotError *error);

/**
 * Number of problems found; 0 when `error` is null. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
size_t tricot_error_count(const struct TricotError *error);

/**
 * Code of one problem. Belongs to the error; null when there is no such problem. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_item_code(const struct TricotError *error, size_t index);

/**
 * Message of one problem. Belongs to the error; null when there is no such problem. Any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed.
 */
const char *tricot_error_item_message(const struct TricotError *error, size_t index);

/**
 * Frees an error and its strings; null is fine. Once, from any thread.
 *
 * Requires:
 * `error` is null or an error not yet freed, and no other thread reads it.
 */
void tricot_error_free(struct TricotError *error);

/**
 * Makes an instance of a module. `allocator` gives its workspace; null for Tricot's own. `*instance` is the caller's, to be
 * freed by `tricot_instance_free`; null after an error. The module may be freed at once. Any thread.
 *
 * Requires:
 * `module` is null or a live module; `allocator` is null or valid for reading; `instance` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_create(const struct TricotModule *module,
                                           const struct TricotAllocator *allocator,
                                           struct TricotInstance **instance);

/**
 * Frees an instance and its workspace; null is fine. Waits for work that still uses them. Once, from any thread.
 *
 * Requires:
 * `instance` is null or an instance not yet freed, which no other thread uses.
 */
void tricot_instance_free(struct TricotInstance *instance);

/**
 * Uses the caller's memory as workspace: on the module's device, 256-byte aligned (`TC0810`). It stays the caller's, is used
 * by this instance alone while runs are under way, and must outlive the instance or be replaced by another call.
 * `tricot_module_workspace_bytes` tells how much is needed. One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; the workspace is valid as said.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_set_workspace(struct TricotInstance *instance,
                                                  void *workspace,
                                                  uint64_t bytes);

/**
 * Gives symbols their values and makes memory ready. The values stay in force for symbols that no input's shape
 * determines; a run takes the others from its inputs. One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; `symbols` is null or valid for `count` bindings with NUL-terminated names.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_bind(struct TricotInstance *instance,
                                         const struct TricotBinding *symbols,
                                         size_t count);

/**
 * The same with values taken from the inputs' shapes; `data` is not looked at. One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; `inputs` is null or valid for `count` tensors with valid shapes.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_bind_shapes(struct TricotInstance *instance,
                                                const struct TricotTensor *inputs,
                                                size_t count);

/**
 * The shape an input has under the last binding. `shape` has room for `capacity` sizes; `*count` becomes their number,
 * also when they do not fit (`TC0893`). One thread at a time.
 *
 * Requires:
 * `instance` is null or a live instance; `shape` is null or valid for `capacity` values; `count` is null or valid for
 * writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_input_shape(const struct TricotInstance *instance,
                                                size_t index,
                                                uint64_t *shape,
                                                size_t capacity,
                                                size_t *count);

/**
 * The shape an output has under the last binding; otherwise as `tricot_instance_input_shape`. One thread at a time.
 *
 * Requires:
 * As `tricot_instance_input_shape`.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_output_shape(const struct TricotInstance *instance,
                                                 size_t index,
                                                 uint64_t *shape,
                                                 size_t capacity,
                                                 size_t *count);

/**
 * Runs on memory of the module's device: host memory for `cpu`, device memory for `cuda`. Inputs and outputs are in the
 * bundle's order; symbols are bound from the inputs' shapes. No output may overlap an input or another output, except one
 * at the very address of the input it aliases. `options` may be null. After an error the outputs' contents are undefined.
 * With `TRICOT_RUN_ASYNC` the tensors and the workspace must stay as they are until the stream has got there. One thread at
 * a time.
 *
 * Requires:
 * `instance` is null or a live instance; `inputs` and `outputs` are null or valid for their counts, with valid shapes and
 * with data valid for the bytes of dtype and shape; `options` is null or valid for reading.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_run(struct TricotInstance *instance,
                                        const struct TricotTensor *inputs,
                                        size_t input_count,
                                        const struct TricotTensor *outputs,
                                        size_t output_count,
                                        const struct TricotRunOptions *options);

/**
 * Runs on host memory, whatever the device: on `cuda` inputs are copied there and outputs back, and the call returns when
 * they are complete (`TRICOT_RUN_ASYNC` is refused). Otherwise as `tricot_instance_run`. One thread at a time.
 *
 * Requires:
 * As `tricot_instance_run`, with data in host memory.
 */
TRICOT_MUST_USE
struct TricotError *tricot_instance_run_host(struct TricotInstance *instance,
                                             const struct TricotTensor *inputs,
                                             size_t input_count,
                                             const struct TricotTensor *outputs,
                                             size_t output_count,
                                             const struct TricotRunOptions *options);

/**
 * Hands messages of this level and more important ones to `callback`, instead of to the one before; null turns logging
 * off. `user` is handed to the callback and must live until another call replaces it and messages under way have been
 * heard. Any thread.
 *
 * Requires:
 * `callback` is null or may be called as `TricotLogCallback` says.
 */
TRICOT_MUST_USE struct TricotError *tricot_log_set(TricotLogCallback callback, void *user, uint32_t level);

/**
 * Loads a bundle that has this digest (32 bytes, see `tricot_bundle_digest`), which you got from a source you trust:
 * running a bundle runs the machine code in it. `TC0709` when it is another bundle. `device` is `cpu`, `cuda`, `cuda:N`,
 * or null for a GPU where there is one. `*module` is the caller's, to be freed by `tricot_module_free`; null after an
 * error. The bundle may be freed at once. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `device` is null or NUL-terminated; `digest` is null or valid for 32 bytes; `module`
 * is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_module_load(const struct TricotBundle *bundle,
                                       const char *device,
                                       const uint8_t *digest,
                                       struct TricotModule **module);

/**
 * Loads a bundle without a digest. Call it only for bundles you made yourself or trust like a program you would start:
 * running a bundle runs the machine code in it with the rights of this process, and nothing verifies that code. Otherwise
 * as `tricot_module_load`. Any thread.
 *
 * Requires:
 * As `tricot_module_load`, and the bundle's author is trusted.
 */
TRICOT_MUST_USE
struct TricotError *tricot_module_load_trusted(const struct TricotBundle *bundle,
                                               const char *device,
                                               struct TricotModule **module);

/**
 * Frees a module; null is fine. Its instances live on. Once, from any thread.
 *
 * Requires:
 * `module` is null or a module not yet freed, which no other thread uses.
 */
void tricot_module_free(struct TricotModule *module);

/**
 * Name of the target in use, `cpu` or `sm_90a`. Belongs to the module; null when `module` is null. Any thread.
 *
 * Requires:
 * `module` is null or a live module.
 */
const char *tricot_module_target(const struct TricotModule *module);

/**
 * Bytes of workspace that runs with these symbol values need; every symbol must have one. Any thread.
 *
 * Requires:
 * `module` is null or a live module; `symbols` is null or valid for `count` bindings with NUL-terminated names; `bytes` is
 * null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_module_workspace_bytes(const struct TricotModule *module,
                                                  const struct TricotBinding *symbols,
                                                  size_t count,
                                                  uint64_t *bytes);

/**
 * Number of CUDA devices of this machine. `TC082x` says why there is no driver. Any thread.
 *
 * Requires:
 * `count` is null or valid for writing.
 */
TRICOT_MUST_USE struct TricotError *tricot_cuda_device_count(size_t *count);

/**
 * Makes a flag that is not set. `*cancel` is the caller's, to be freed by `tricot_cancel_free`; null after an error. Any
 * thread.
 *
 * Requires:
 * `cancel` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_cancel_create(struct TricotCancel **cancel);

/**
 * Sets the flag, for good; null is fine. Work that holds it ends with `TC0812` (a run) or `TC0931` (a compilation). What
 * is queued on a GPU already still finishes. Any thread.
 *
 * Requires:
 * `cancel` is null or a live flag.
 */
void tricot_cancel_set(const struct TricotCancel *cancel);

/**
 * Frees a flag; null is fine. Work that holds it goes on. Once, from any thread.
 *
 * Requires:
 * `cancel` is null or a flag not yet freed, which no other thread uses.
 */
void tricot_cancel_free(struct TricotCancel *cancel);

/**
 * Hands messages of this level and more important ones to `callback`, instead of to the one before; null turns logging
 * off. `user` is handed to the callback and must live until another call replaces it and messages under way have been
 * heard. Any thread.
 *
 * Requires:
 * `callback` is null or may be called as `TricotLogCallback` says.
 */
TRICOT_MUST_USE struct TricotError *tricot_log_set(TricotLogCallback callback, void *user, uint32_t level);

/**
 * Loads a bundle that has this digest (32 bytes, see `tricot_bundle_digest`), which you got from a source you trust:
 * running a bundle runs the machine code in it. `TC0709` when it is another bundle. `device` is `cpu`, `cuda`, `cuda:N`,
 * or null for a GPU where there is one. `*module` is the caller's, to be freed by `tricot_module_free`; null after an
 * error. The bundle may be freed at once. Any thread.
 *
 * Requires:
 * `bundle` is null or a live bundle; `device` is null or NUL-terminated; `digest` is null or valid for 32 bytes; `module`
 * is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_module_load(const struct TricotBundle *bundle,
                                       const char *device,
                                       const uint8_t *digest,
                                       struct TricotModule **module);

/**
 * Loads a bundle without a digest. Call it only for bundles you made yourself or trust like a program you would start:
 * running a bundle runs the machine code in it with the rights of this process, and nothing verifies that code. Otherwise
 * as `tricot_module_load`. Any thread.
 *
 * Requires:
 * As `tricot_module_load`, and the bundle's author is trusted.
 */
TRICOT_MUST_USE
struct TricotError *tricot_module_load_trusted(const struct TricotBundle *bundle,
                                               const char *device,
                                               struct TricotModule **module);

/**
 * Frees a module; null is fine. Its instances live on. Once, from any thread.
 *
 * Requires:
 * `module` is null or a module not yet freed, which no other thread uses.
 */
void tricot_module_free(struct TricotModule *module);

/**
 * Name of the target in use, `cpu` or `sm_90a`. Belongs to the module; null when `module` is null. Any thread.
 *
 * Requires:
 * `module` is null or a live module.
 */
const char *tricot_module_target(const struct TricotModule *module);

/**
 * Bytes of workspace that runs with these symbol values need; every symbol must have one. Any thread.
 *
 * Requires:
 * `module` is null or a live module; `symbols` is null or valid for `count` bindings with NUL-terminated names; `bytes` is
 * null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_module_workspace_bytes(const struct TricotModule *module,
                                                  const struct TricotBinding *symbols,
                                                  size_t count,
                                                  uint64_t *bytes);

/**
 * Number of CUDA devices of this machine. `TC082x` says why there is no driver. Any thread.
 *
 * Requires:
 * `count` is null or valid for writing.
 */
TRICOT_MUST_USE struct TricotError *tricot_cuda_device_count(size_t *count);

/**
 * Makes a flag that is not set. `*cancel` is the caller's, to be freed by `tricot_cancel_free`; null after an error. Any
 * thread.
 *
 * Requires:
 * `cancel` is null or valid for writing.
 */
TRICOT_MUST_USE
struct TricotError *tricot_cancel_create(struct TricotCancel **cancel);

/**
 * Sets the flag, for good; null is fine. Work that holds it ends with `TC0812` (a run) or `TC0931` (a compilation). What
 * is queued on a GPU already still finishes. Any thread.
 *
 * Requires:
 * `cancel` is null or a live flag.
 */
void tricot_cancel_set(const struct TricotCancel *cancel);

/**
 * Frees a flag; null is fine. Work that holds it goes on. Once, from any thread.
 *
 * Requires:
 * `cancel` is null or a flag not yet freed, which no other thread uses.
 */
void tricot_cancel_free(struct TricotCancel *cancel);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TRICOT_H */
