/* The library context, the model store and opened models.
 *
 * Ownership: what *_create and *_open return belongs to the caller until *_destroy or *_close.
 * Strings inside returned structs live as long as the object they came from, unless said
 * otherwise. A context may be used from several threads at once; an opened model is read-only and
 * may be shared by any number of threads. There is no global state: two contexts with different
 * stores may live in one process. */
#ifndef TARS_MODEL_H
#define TARS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <tars/error.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tars_context tars_context;
typedef struct tars_model tars_model;

/* What becomes of the audit log in the store's folder (audit/): denials, imports, removals and uses
 * of the signing key are recorded there, and tars audit verify proves it. */
typedef enum tars_audit {
    TARS_AUDIT_ON = 0,  /* what cannot be recorded is told to `log` and done all the same */
    TARS_AUDIT_OFF,     /* nothing is recorded */
    TARS_AUDIT_REQUIRED /* what cannot be recorded is not done, or not given out */
} tars_audit;

/* Every options struct starts with its size so that it can grow; fill it with the *_DEFAULTS
 * initialiser or zero it and set size_bytes. Zero and NULL mean the default. */
typedef struct tars_context_options {
    size_t size_bytes;
    const char *home; /* the store's folder; NULL: TARS_HOME, TARS_DATA_DIR, platform path */
    bool offline;     /* open no socket to anything but loopback */
    const char *program_path; /* the tars executable that import runs as a child; NULL: this one */
    /* Called with each log line (UTF-8, no newline); may be NULL. Called from any thread. */
    void (*log)(void *user, int level, const char *line);
    void *log_user;
    bool no_wasm; /* the runtime wasm is unavailable, whatever a request asks for */
    tars_audit audit;
} tars_context_options;
#define TARS_CONTEXT_OPTIONS_DEFAULTS {.size_bytes = sizeof(tars_context_options)}

TARS_API tars_status tars_context_create(const tars_context_options *options, tars_context **out,
                                         tars_error *err);
/* NULL is allowed. */
TARS_API void tars_context_destroy(tars_context *context);

/* Version of the C interface: major << 16 | minor. Structs only grow within one major version. */
TARS_API uint32_t tars_abi_version(void);
/* "0.1.0 (commit …)": constant text. */
TARS_API const char *tars_version(void);
/* Number of the arithmetic rules that results obey; equal numbers give equal bits. */
TARS_API uint32_t tars_arithmetic_version(void);

/* ---- the store ------------------------------------------------------------------------- */

typedef struct tars_model_entry {
    char name[128];
    char sha256[65];        /* of the source file */
    char packed_sha256[65]; /* of the packed file */
    char architecture[32];
    char quantization[32];
    uint64_t packed_bytes;
    uint64_t parameters;
    uint32_t context_length;
    int64_t imported_unix_s;
    char sandbox[16]; /* after an import or a pull: where the source was read; "": nowhere, it was
                         there already. Always "" in lists */
} tars_model_entry;

/* Progress of long work: `done` of `total` bytes (total 0: unknown) of the named step. Returning
 * false cancels. */
typedef bool (*tars_progress)(void *user, const char *step, uint64_t done, uint64_t total);

typedef struct tars_import_options {
    size_t size_bytes;
    const char *name;    /* NULL: derived from the file's name */
    const char *sandbox; /* NULL or "auto": strongest there is; "native", "wasm", "microvm" */
    const char *sha256;  /* expected digest of the source, or NULL */
    bool replace;       /* an existing name is replaced; else CONFLICT unless the digest is equal */
    uint64_t max_bytes; /* limit for downloads; 0: 64 GiB */
    tars_progress progress;
    void *progress_user;
} tars_import_options;
#define TARS_IMPORT_OPTIONS_DEFAULTS {.size_bytes = sizeof(tars_import_options)}

/* Packs a local GGUF file, or a folder of safetensors, into the store. */
TARS_API tars_status tars_model_import(tars_context *context, const char *path,
                                       const tars_import_options *options, tars_model_entry *out,
                                       tars_error *err);
/* As import, from a catalogue name, a URL, hf:org/repo/file or a local path. Resumes. */
TARS_API tars_status tars_model_pull(tars_context *context, const char *what,
                                     const tars_import_options *options, tars_model_entry *out,
                                     tars_error *err);
/* Lists the store, sorted by name. *entries is freed with tars_free. */
TARS_API tars_status tars_model_list(tars_context *context, tars_model_entry **entries,
                                     size_t *count, tars_error *err);
/* Removes a name; the packed file goes when no other name uses it. */
TARS_API tars_status tars_model_remove(tars_context *context, const char *name, tars_error *err);
TARS_API void tars_free(void *memory);

/* ---- opened models --------------------------------------------------------------------- */

/* Opens a name of the store, name@digest-prefix, or a path to a packed file; a path has a slash
 * in it (./model.tars). Maps it read-only; costs milliseconds and no private memory. */
TARS_API tars_status tars_model_open(tars_context *context, const char *name, tars_model **out,
                                     tars_error *err);
/* NULL is allowed. */
TARS_API void tars_model_close(tars_model *model);

typedef struct tars_model_info {
    size_t size_bytes;
    const char *name;
    const char *sha256;
    const char *packed_sha256;
    const char *architecture;
    const char *quantization; /* type that holds most weights */
    const char *page_kind;    /* "file-huge", "small", … of the mapping, measured */
    uint64_t parameters;
    uint64_t packed_bytes;
    uint32_t n_layers, n_embd, n_heads, n_kv_heads, n_vocab;
    uint32_t context_length; /* trained for */
    bool is_encoder;         /* embeddings only */
    bool has_chat_template;
} tars_model_info;
TARS_API tars_status tars_model_get_info(const tars_model *model, tars_model_info *out,
                                         tars_error *err);

#ifdef __cplusplus
}
#endif
#endif
