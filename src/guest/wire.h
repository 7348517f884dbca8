/* The one protocol between a host and the program inside a sandbox, version 2: frames over two
 * byte streams. The streams are rings in memory that both sides see (linear memory of WebAssembly,
 * shared pages of a micro-VM).
 *
 * A frame is a wire_frame, then size_bytes of payload; everything is little-endian and the
 * structures below are the payloads. Both sides check every number: a side that sends anything
 * else than what is stated here is cut off (MALFORMED). Frames of a request, in order:
 *
 *   host  → guest  HELLO                      once, first
 *   guest → host   HELLO                      once, first
 *   host  → guest  REQUEST, DATA…, START      one request; in the place of REQUEST stands what is
 *                                             wanted: IMPORT, ENCODE, DECODE or EMBED
 *   guest → host   the answer's frames        in the order of events:
 *       of REQUEST   PROGRESS…, TOKEN…, TEXT…
 *       of IMPORT    READ…, PROGRESS…, BYTES… (the packed file, in order)
 *       of ENCODE    IDS…, TEXT… (the pieces of those ids, if wanted)
 *       of DECODE    TEXT…
 *       of EMBED     VECTORS…
 *   host  → guest  BYTES…                     after a READ and before the next one: all that it
 *                                             asked for, in order
 *   guest → host   RESULT or ERROR            ends the request
 *   host  → guest  CANCEL                     at any time; the guest ends after what it is
 *                                             at, or is killed
 *   guest → host   LOG                        at any time
 *
 * A guest without a model (model_bytes 0 in the host's HELLO) serves IMPORT alone.
 *
 * Ownership: a ring's memory is shared; a wire_port is one side's own. One thread a side. */
#ifndef GUEST_WIRE_H
#define GUEST_WIRE_H

#include "base/error.h"
#include "base/sha256.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    WIRE_VERSION = 2,
    WIRE_MAGIC = 0x53524154,     /* "TARS" */
    WIRE_RING_BYTES = 256 << 10, /* a power of two */
    WIRE_MAX_PAYLOAD = 16 << 10, /* of one frame */
    WIRE_MAX_BATCH = 4096,
    WIRE_MAX_SOURCES = 8, /* files that an import reads */
    WIRE_MAX_TEXTS = 1 << 20,
    WIRE_MAX_MESSAGES = 1 << 20
};

typedef enum wire_kind {
    WIRE_HELLO = 1,
    WIRE_REQUEST,
    WIRE_DATA,
    WIRE_START,
    WIRE_CANCEL,
    WIRE_PROGRESS,
    WIRE_TOKEN,
    WIRE_TEXT, /* bytes of the answer, at least one; whole characters but in pieces */
    WIRE_RESULT,
    WIRE_ERROR,
    WIRE_LOG, /* UTF-8 for the host's log */
    WIRE_IMPORT,
    WIRE_ENCODE,
    WIRE_DECODE,
    WIRE_EMBED,
    WIRE_READ,
    WIRE_BYTES, /* of a file, at least one */
    WIRE_IDS,
    WIRE_VECTORS, /* float[]: the vectors of the texts one after another, at least one number */
    WIRE_KIND_COUNT
} wire_kind;

typedef struct wire_frame {
    uint32_t size_bytes; /* of the payload, at most WIRE_MAX_PAYLOAD */
    uint16_t kind;
    uint16_t reserved; /* 0 */
} wire_frame;

typedef struct wire_hello {
    uint32_t magic, version;
    uint32_t features; /* none yet: 0 */
    uint32_t arithmetic_version;
    uint64_t model_offset; /* host: where the packed model lies in the guest's memory */
    uint64_t model_bytes;  /* guest: 0 */
    char isa[16];          /* guest: its kernels, NUL-terminated; host: those it must take, or "" */
} wire_hello;

typedef enum wire_request_kind { WIRE_GENERATE = 1, WIRE_REPLAY = 2 } wire_request_kind;

typedef struct wire_request {
    uint32_t kind; /* wire_request_kind */
    uint32_t max_tokens;
    uint32_t n_context;
    uint32_t batch; /* tokens of the prompt in one pass, 1 … WIRE_MAX_BATCH */
    float temperature;
    uint32_t top_k;
    float top_p, min_p, repeat_penalty;
    uint32_t kv_type; /* 1: f16, 2: f32 */
    uint64_t seed;
    uint32_t logits_hash; /* 1: digests are wanted */
    uint32_t n_prompt;    /* tokens */
    uint32_t n_replay;    /* tokens, of WIRE_REPLAY only */
    uint32_t n_stops;
    uint64_t stop_bytes; /* all stop texts, each with a NUL behind it */
} wire_request;

/* Foreign file in, packed file out (engine/import.h). Sizes and offsets exceed what the guest can
 * address: it reads in pieces. */
typedef enum wire_import_form {
    WIRE_GGUF = 1,   /* one file, source 0 */
    WIRE_SAFETENSORS /* a folder's: as in safetensors_sources, in that order */
} wire_import_form;

typedef struct wire_import {
    uint32_t form;    /* wire_import_form */
    uint32_t sources; /* bit i: source i is there */
    uint64_t size_bytes[WIRE_MAX_SOURCES];
    uint8_t source_sha256[SHA256_DIGEST_BYTES]; /* of WIRE_GGUF: of the file, taken by the host */
} wire_import;

typedef struct wire_read {
    uint32_t source;
    uint32_t reserved;       /* 0 */
    uint64_t offset, length; /* length ≥ 1; the end lies within the source */
} wire_read;

/* Texts, or one conversation as the model's chat template writes it, to ids. */
typedef struct wire_encode {
    uint32_t flags;      /* tokenizer_encode_flags */
    uint32_t n_texts;    /* 0 of a conversation */
    uint32_t n_messages; /* 0 of texts */
    uint32_t max_ids;    /* of one text: it is cut there and keeps its last id; 0: no limit */
    uint32_t pieces;     /* 1: their bytes are wanted */
    int32_t clock[6];    /* year … second now, for templates that print it */
    uint32_t reserved;   /* 0 */
    uint64_t text_bytes; /* of all texts; of messages: role and content, each with a NUL behind */
} wire_encode;

/* Ids to text. */
typedef struct wire_decode {
    uint32_t flags; /* tokenizer_decode_flags */
    uint32_t n_ids;
} wire_decode;

/* Pooled vectors of texts. */
typedef struct wire_embed {
    uint32_t n_texts;
    uint32_t normalize;         /* 1: to length 1 */
    uint32_t float_activations; /* 1: not quantised */
    uint32_t max_ids;           /* ids of the longest text */
    uint64_t n_ids;             /* of all texts */
} wire_embed;

/* What DATA frames carry, in this order, each filled before the next begins. Which of them a
 * request has, and how large they are, says its own frame. */
typedef enum wire_section {
    WIRE_PROMPT = 1, /* int32_t[n_prompt]; of DECODE and EMBED int32_t[n_ids] */
    WIRE_REPLAYED,   /* int32_t[n_replay] */
    WIRE_STOPS,      /* stop_bytes */
    WIRE_LENGTHS,    /* uint32_t[n_texts]: bytes (ENCODE) or ids (EMBED) of each text */
    WIRE_WORDS,      /* text_bytes */
    WIRE_SECTION_COUNT
} wire_section;

typedef struct wire_data {
    uint32_t section;
    uint32_t reserved; /* 0; then the bytes, at least one */
} wire_data;

typedef struct wire_progress {
    uint64_t done, total;
} wire_progress;

typedef struct wire_token {
    int32_t id;
    uint32_t has_digest;
    uint8_t digest[SHA256_DIGEST_BYTES]; /* of the logits, with logits_hash */
} wire_token;

/* The next ids of a text; an array of wire_id follows, at least one. Texts come in order. */
typedef struct wire_ids {
    uint32_t text;
    uint32_t reserved; /* 0 */
} wire_ids;

typedef struct wire_id {
    int32_t id;
    uint32_t piece_bytes; /* of its piece, which the TEXT frames carry; 0 unless wanted */
} wire_id;

typedef struct wire_result {
    uint32_t stopped;      /* of REQUEST: 1: by itself or a stop text, 0: a limit */
    uint32_t n_tokens;     /* of REQUEST and ENCODE: told */
    uint64_t memory_bytes; /* that the request took of the guest's memory, the peak */
    uint64_t n_bytes;      /* of IMPORT: the packed file's; of ENCODE: of text that was encoded */
    uint8_t logits_hash[SHA256_DIGEST_BYTES];   /* of REQUEST */
    uint8_t source_sha256[SHA256_DIGEST_BYTES]; /* of IMPORT: of what was packed */
} wire_result;

typedef struct wire_error {
    uint32_t status; /* tars_status, not TARS_OK */
    uint32_t reserved;
    tars_error error; /* its texts, each NUL-terminated; its status is ignored */
} wire_error;

/* A byte stream between two sides; each side writes only its own index. */
typedef struct wire_ring {
    _Alignas(64) atomic_uint written; /* bytes ever, modulo 2^32 */
    _Alignas(64) atomic_uint read;
    _Alignas(64) uint8_t bytes[WIRE_RING_BYTES];
} wire_ring;

/* What lies in shared memory. */
typedef struct wire_area {
    wire_ring to_guest, to_host;
} wire_area;

/* One side. `wait` gives the other side time, when a ring is full or empty and when there is news
 * for it; it returns false when the other side is gone. */
typedef struct wire_port {
    wire_ring *in, *out;
    bool (*wait)(void *context);
    void *context;
} wire_port;

void wire_area_clear(wire_area *area);

/* Sends a frame whose payload is `head` and then `tail` (which may be empty). UNAVAILABLE when
 * the other side is gone. */
tars_status wire_send(wire_port *port, wire_kind kind, const void *head, size_t head_bytes,
                      const void *tail, size_t tail_bytes, tars_error *err);
/* The error object as an ERROR frame. */
tars_status wire_send_error(wire_port *port, const tars_error *error, tars_error *err);

/* A received frame. */
typedef struct wire_message {
    wire_kind kind;
    size_t size_bytes;
    _Alignas(8) uint8_t payload[WIRE_MAX_PAYLOAD];
} wire_message;

/* Waits for a whole frame and copies it out. MALFORMED when it is none: unknown kind, too long,
 * or a size that its kind cannot have. UNAVAILABLE when the other side is gone. */
tars_status wire_receive(wire_port *port, wire_message *out, tars_error *err);
/* The same without waiting: *found is false when no whole frame is there. */
tars_status wire_poll(wire_port *port, wire_message *out, bool *found, tars_error *err);
/* Takes the payload of an ERROR frame for printing: texts end within their fields, what is no
 * UTF-8 or a control character is replaced. */
void wire_read_error(const wire_message *message, tars_error *out);

#endif
