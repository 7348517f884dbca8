#include "store/index.h"
#include "platform/platform.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    INDEX_APPLICATION_ID = 0x54415253, /* "TARS" */
    INDEX_SCHEMA_VERSION = 1,
    INDEX_BUSY_TIMEOUT_MS = 10000,
    INDEX_MAX_ENTRIES = 100000
};

struct store_index {
    sqlite3 *db;
    char path[STORE_PATH_BYTES];
};

static const char schema_sql[] =
    "CREATE TABLE blob("
    " packed_sha256 TEXT PRIMARY KEY, source_sha256 TEXT NOT NULL, architecture TEXT NOT NULL,"
    " quantization TEXT NOT NULL, packed_bytes INTEGER NOT NULL, source_bytes INTEGER NOT NULL,"
    " parameters INTEGER NOT NULL, context_length INTEGER NOT NULL,"
    " pack_version INTEGER NOT NULL, arithmetic_version INTEGER NOT NULL,"
    " inode INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, ctime_ns INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE model("
    " name TEXT PRIMARY KEY, packed_sha256 TEXT NOT NULL REFERENCES blob(packed_sha256),"
    " imported_unix_s INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE INDEX model_blob ON model(packed_sha256);"
    "CREATE INDEX blob_source ON blob(source_sha256);";

/* The columns of every query that gives entries, in the order entry_from_row reads them. */
#define ENTRY_COLUMNS                                                                              \
    "m.name, b.source_sha256, b.packed_sha256, b.architecture, b.quantization, b.packed_bytes,"    \
    " b.parameters, b.context_length, m.imported_unix_s, b.source_bytes, b.pack_version,"          \
    " b.arithmetic_version, b.inode, b.mtime_ns, b.ctime_ns"                                       \
    " FROM model m JOIN blob b ON b.packed_sha256 = m.packed_sha256 "

static tars_status index_damaged(const store_index *index, const char *what, tars_error *err) {
    error_set(err, TARS_CORRUPT, "the store's index is damaged: %s", what);
    error_where(err, "%s", index->path);
    error_hint(err, "`tars doctor --repair` makes it anew from the packed files; they are not "
                    "affected");
    return TARS_CORRUPT;
}

typedef struct sqlite_failure {
    int code; /* primary result code */
    tars_status status;
    const char *message;
    const char *hint;
} sqlite_failure;

static const sqlite_failure failures[] = {
    {SQLITE_FULL, TARS_DISK_FULL, "the disk is full: the store's index was not changed",
     "free some space, or remove a model with `tars rm`"},
    {SQLITE_READONLY, TARS_UNAVAILABLE, "the store is read-only",
     "make the folder writable, or name another store with TARS_HOME"},
    {SQLITE_CANTOPEN, TARS_UNAVAILABLE, "the store's index cannot be opened",
     "check the folder's owner and permissions, or name another store with TARS_HOME"},
    {SQLITE_PERM, TARS_UNAVAILABLE, "the store's index may not be opened",
     "check the folder's owner and permissions, or name another store with TARS_HOME"},
    {SQLITE_BUSY, TARS_CONFLICT, "another process holds the store's index",
     "wait for it to finish and try again"},
    {SQLITE_NOMEM, TARS_OUT_OF_MEMORY, "no memory for the store's index", "close other programs"},
};

static tars_status index_failed(const store_index *index, tars_error *err) {
    int code = sqlite3_extended_errcode(index->db);
    const char *cause = sqlite3_errmsg(index->db);
    if ((code & 0xff) == SQLITE_CORRUPT || (code & 0xff) == SQLITE_NOTADB) {
        index_damaged(index, cause, err);
        return TARS_CORRUPT;
    }
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        if (failures[i].code == (code & 0xff)) {
            error_set(err, failures[i].status, "%s", failures[i].message);
            error_hint(err, "%s", failures[i].hint);
            error_where(err, "%s", index->path);
            error_cause(err, "%s", cause);
            return failures[i].status;
        }
    }
    error_set(err, TARS_IO, "reading or writing the store's index failed");
    error_where(err, "%s", index->path);
    error_cause(err, "%s (SQLite code %d)", cause, code);
    return TARS_IO;
}

static tars_status run_sql(store_index *index, const char *sql, tars_error *err) {
    if (sqlite3_exec(index->db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        return index_failed(index, err);
    }
    return TARS_OK;
}

static tars_status prepare(store_index *index, const char *sql, sqlite3_stmt **out,
                           tars_error *err) {
    if (sqlite3_prepare_v2(index->db, sql, -1, out, NULL) != SQLITE_OK) {
        return index_failed(index, err);
    }
    return TARS_OK;
}

static tars_status read_pragma(store_index *index, const char *sql, int64_t *out, tars_error *err) {
    sqlite3_stmt *statement;
    tars_status status = prepare(index, sql, &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    } else {
        status = code == SQLITE_DONE ? index_damaged(index, "a setting is missing", err)
                                     : index_failed(index, err);
    }
    sqlite3_finalize(statement);
    return status;
}

static tars_status create_tables(store_index *index, tars_error *err) {
    char sql[sizeof schema_sql + 160];
    snprintf(sql, sizeof sql, "PRAGMA application_id = %d; PRAGMA user_version = %d; %s COMMIT;",
             INDEX_APPLICATION_ID, INDEX_SCHEMA_VERSION, schema_sql);
    tars_status status = run_sql(index, sql, err);
    if (status != TARS_OK) {
        sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return status;
}

/* Makes the tables of an empty database, and refuses one that is not ours or newer. *empty: it
 * has no tables yet and may not be written. */
static tars_status check_schema(store_index *index, store_mode mode, bool *empty, tars_error *err) {
    int64_t version = 0;
    int64_t application = 0;
    int64_t tables = 0;
    *empty = false;
    tars_status status = TARS_OK;
    if (mode == STORE_WRITE) { /* one of two processes that start at once makes the tables */
        status = run_sql(index, "BEGIN IMMEDIATE", err);
    }
    if (status == TARS_OK) {
        status = read_pragma(index, "PRAGMA user_version", &version, err);
    }
    if (status == TARS_OK) {
        status = read_pragma(index, "PRAGMA application_id", &application, err);
    }
    if (status == TARS_OK) {
        status = read_pragma(index, "SELECT count(*) FROM sqlite_schema", &tables, err);
    }
    if (status != TARS_OK) {
        return status;
    }
    if (version == 0 && application == 0 && tables == 0) {
        *empty = mode == STORE_READ; /* its maker was stopped before it made the tables */
        return *empty ? TARS_OK : create_tables(index, err);
    }
    if (mode == STORE_WRITE && (status = run_sql(index, "COMMIT", err)) != TARS_OK) {
        return status;
    }
    if (application != INDEX_APPLICATION_ID || version < 1) {
        return index_damaged(index, "it is no index of TARS", err);
    }
    if (version > INDEX_SCHEMA_VERSION) {
        error_set(err, TARS_UNSUPPORTED,
                  "the store's index has version %lld, this program knows %d", (long long)version,
                  INDEX_SCHEMA_VERSION);
        error_where(err, "%s", index->path);
        error_hint(err, "use the newer TARS that wrote it, or another store with TARS_HOME");
        return TARS_UNSUPPORTED;
    }
    return TARS_OK;
}

/* A read-only file system has no place for the -shm file: then the database is read as it lies. */
static int open_immutable(store_index *index) {
    char uri[3 * STORE_PATH_BYTES + 32];
    size_t used = (size_t)snprintf(uri, sizeof uri, "file:");
    for (const char *c = index->path; *c != '\0' && used + 32 < sizeof uri; c++) {
        bool plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                     (*c >= '0' && *c <= '9') || strchr("/._-", *c) != NULL;
        used += (size_t)snprintf(uri + used, sizeof uri - used, plain ? "%c" : "%%%02X",
                                 (unsigned char)*c);
    }
    snprintf(uri + used, sizeof uri - used, "?immutable=1");
    sqlite3_close(index->db);
    index->db = NULL;
    return sqlite3_open_v2(uri, &index->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL);
}

/* SQLite does not wait by itself while another connection changes the journal's mode. */
static tars_status set_write_mode(store_index *index, tars_error *err) {
    tars_status status = TARS_CONFLICT;
    for (int waited_ms = 0; waited_ms < INDEX_BUSY_TIMEOUT_MS && status == TARS_CONFLICT;
         waited_ms += 10) {
        if (waited_ms > 0) {
            platform_sleep_ns(10000000);
        }
        status = run_sql(index,
                         "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                         "PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF",
                         err);
    }
    return status;
}

static tars_status open_database(store_index *index, store_mode mode, tars_error *err) {
    int flags = mode == STORE_WRITE ? SQLITE_OPEN_READWRITE : SQLITE_OPEN_READONLY;
    int code = sqlite3_open_v2(index->path, &index->db, flags, NULL);
    if (!index->db) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the store's index");
    }
    if (code != SQLITE_OK) {
        return index_failed(index, err);
    }
    sqlite3_busy_timeout(index->db, INDEX_BUSY_TIMEOUT_MS);
    if (mode == STORE_WRITE) {
        return set_write_mode(index, err);
    }
    code = sqlite3_exec(index->db, "PRAGMA user_version; SELECT 1 FROM sqlite_schema", NULL, NULL,
                        NULL);
    int primary = code & 0xff;
    if (primary == SQLITE_CANTOPEN || primary == SQLITE_READONLY) {
        code = open_immutable(index);
    }
    return code == SQLITE_OK ? run_sql(index, "PRAGMA trusted_schema = OFF", err)
                             : index_failed(index, err);
}

tars_status index_open(const char *path, store_mode mode, store_index **out, tars_error *err) {
    *out = NULL;
    store_index *index = calloc(1, sizeof *index);
    if (!index) {
        return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the store's index");
    }
    snprintf(index->path, sizeof index->path, "%s", path);
    bool empty = false;
    tars_status status = open_database(index, mode, err);
    if (status == TARS_OK) {
        status = check_schema(index, mode, &empty, err);
    }
    if (status != TARS_OK || empty) {
        index_close(index);
        return status;
    }
    *out = index;
    return TARS_OK;
}

void index_close(store_index *index) {
    if (index) {
        sqlite3_close(index->db);
        free(index);
    }
}

static bool is_digest(const char *text) {
    size_t length = strlen(text);
    return length == 64 && strspn(text, "0123456789abcdef") == length;
}

static bool copy_text(sqlite3_stmt *row, int column, char *out, size_t size_bytes) {
    const char *text = (const char *)sqlite3_column_text(row, column);
    size_t length = text ? (size_t)sqlite3_column_bytes(row, column) : 0;
    if (!text || length >= size_bytes || strlen(text) != length) {
        return false;
    }
    memcpy(out, text, length + 1);
    return true;
}

static bool copy_u64(sqlite3_stmt *row, int column, uint64_t *out) {
    int64_t value = sqlite3_column_int64(row, column);
    *out = (uint64_t)value;
    return sqlite3_column_type(row, column) == SQLITE_INTEGER;
}

static tars_status entry_from_row(const store_index *index, sqlite3_stmt *row, store_entry *out,
                                  tars_error *err) {
    tars_model_entry *model = &out->model;
    uint64_t context_length;
    uint64_t imported;
    uint64_t pack_version;
    uint64_t arithmetic_version;
    uint64_t mtime_ns;
    uint64_t ctime_ns;
    bool whole = copy_text(row, 0, model->name, sizeof model->name) &&
                 copy_text(row, 1, model->sha256, sizeof model->sha256) &&
                 copy_text(row, 2, model->packed_sha256, sizeof model->packed_sha256) &&
                 copy_text(row, 3, model->architecture, sizeof model->architecture) &&
                 copy_text(row, 4, model->quantization, sizeof model->quantization) &&
                 copy_u64(row, 5, &model->packed_bytes) && copy_u64(row, 6, &model->parameters) &&
                 copy_u64(row, 7, &context_length) && copy_u64(row, 8, &imported) &&
                 copy_u64(row, 9, &out->source_bytes) && copy_u64(row, 10, &pack_version) &&
                 copy_u64(row, 11, &arithmetic_version) && copy_u64(row, 12, &out->inode) &&
                 copy_u64(row, 13, &mtime_ns) && copy_u64(row, 14, &ctime_ns);
    if (!whole || !store_name_valid(model->name) || !is_digest(model->sha256) ||
        !is_digest(model->packed_sha256) || context_length > UINT32_MAX ||
        pack_version > UINT32_MAX || arithmetic_version > UINT32_MAX) {
        return index_damaged(index, "a row holds values that no import writes", err);
    }
    model->context_length = (uint32_t)context_length;
    model->imported_unix_s = (int64_t)imported;
    model->sandbox[0] = '\0';
    out->pack_version = (uint32_t)pack_version;
    out->arithmetic_version = (uint32_t)arithmetic_version;
    out->mtime_ns = (int64_t)mtime_ns;
    out->ctime_ns = (int64_t)ctime_ns;
    return TARS_OK;
}

/* Steps a query that gives at most one entry. */
static tars_status one_entry(store_index *index, const char *sql, const char *key, store_entry *out,
                             bool *found, tars_error *err) {
    sqlite3_stmt *statement;
    *found = false;
    tars_status status = prepare(index, sql, &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        status = entry_from_row(index, statement, out, err);
        *found = status == TARS_OK;
    } else if (code != SQLITE_DONE) {
        status = index_failed(index, err);
    }
    sqlite3_finalize(statement);
    return status;
}

tars_status index_get(store_index *index, const char *name, store_entry *out, tars_error *err) {
    bool found;
    tars_status status =
        one_entry(index, "SELECT " ENTRY_COLUMNS "WHERE m.name = ?1", name, out, &found, err);
    if (status == TARS_OK && !found) {
        return error_set(err, TARS_NOT_FOUND, "the store has no model named %s", name);
    }
    return status;
}

tars_status index_find_source(store_index *index, const char *source_sha256, store_entry *out,
                              bool *found, tars_error *err) {
    return one_entry(index, "SELECT " ENTRY_COLUMNS "WHERE b.source_sha256 = ?1 LIMIT 1",
                     source_sha256, out, found, err);
}

static tars_status read_rows(store_index *index, sqlite3_stmt *statement, store_entry **entries,
                             size_t *count, tars_error *err) {
    size_t capacity = 0;
    for (;;) {
        int code = sqlite3_step(statement);
        if (code == SQLITE_DONE) {
            return TARS_OK;
        }
        if (code != SQLITE_ROW) {
            return index_failed(index, err);
        }
        if (*count == INDEX_MAX_ENTRIES) {
            return error_set(err, TARS_LIMIT, "the store has more than %d models",
                             INDEX_MAX_ENTRIES);
        }
        if (*count == capacity) {
            capacity = capacity == 0 ? 16 : 2 * capacity;
            store_entry *grown = realloc(*entries, capacity * sizeof **entries);
            if (!grown) {
                return error_set(err, TARS_OUT_OF_MEMORY, "no memory for the list of models");
            }
            *entries = grown;
        }
        store_entry *entry = &(*entries)[*count];
        memset(entry, 0, sizeof *entry);
        tars_status status = entry_from_row(index, statement, entry, err);
        if (status != TARS_OK) {
            return status;
        }
        (*count)++;
    }
}

tars_status index_list(store_index *index, store_entry **entries, size_t *count, tars_error *err) {
    *entries = NULL;
    *count = 0;
    sqlite3_stmt *statement;
    tars_status status = prepare(index, "SELECT " ENTRY_COLUMNS "ORDER BY m.name", &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    status = read_rows(index, statement, entries, count, err);
    sqlite3_finalize(statement);
    if (status != TARS_OK) {
        free(*entries);
        *entries = NULL;
        *count = 0;
    }
    return status;
}

/* Runs one statement whose parameters the caller bound. */
static tars_status finish_statement(store_index *index, sqlite3_stmt *statement, tars_error *err) {
    int code = sqlite3_step(statement);
    tars_status status = TARS_OK;
    if (code != SQLITE_DONE && code != SQLITE_ROW) {
        status = index_failed(index, err);
    }
    sqlite3_finalize(statement);
    return status;
}

tars_status index_count_names(store_index *index, const char *packed_sha256, uint64_t *count,
                              tars_error *err) {
    sqlite3_stmt *statement;
    tars_status status =
        prepare(index, "SELECT count(*) FROM model WHERE packed_sha256 = ?1", &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, packed_sha256, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW) {
        *count = (uint64_t)sqlite3_column_int64(statement, 0);
    } else {
        status = index_failed(index, err);
    }
    sqlite3_finalize(statement);
    return status;
}

static tars_status put_blob(store_index *index, const store_entry *entry, tars_error *err) {
    sqlite3_stmt *statement;
    tars_status status = prepare(index,
                                 "INSERT OR REPLACE INTO blob VALUES"
                                 "(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
                                 &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    const tars_model_entry *model = &entry->model;
    sqlite3_bind_text(statement, 1, model->packed_sha256, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, model->sha256, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 3, model->architecture, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 4, model->quantization, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 5, (int64_t)model->packed_bytes);
    sqlite3_bind_int64(statement, 6, (int64_t)entry->source_bytes);
    sqlite3_bind_int64(statement, 7, (int64_t)model->parameters);
    sqlite3_bind_int64(statement, 8, model->context_length);
    sqlite3_bind_int64(statement, 9, entry->pack_version);
    sqlite3_bind_int64(statement, 10, entry->arithmetic_version);
    sqlite3_bind_int64(statement, 11, (int64_t)entry->inode);
    sqlite3_bind_int64(statement, 12, entry->mtime_ns);
    sqlite3_bind_int64(statement, 13, entry->ctime_ns);
    return finish_statement(index, statement, err);
}

static tars_status put_name(store_index *index, const store_entry *entry, tars_error *err) {
    sqlite3_stmt *statement;
    tars_status status =
        prepare(index, "INSERT OR REPLACE INTO model VALUES(?1, ?2, ?3)", &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, entry->model.name, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, entry->model.packed_sha256, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, entry->model.imported_unix_s);
    return finish_statement(index, statement, err);
}

static const char sweep_sql[] =
    "DELETE FROM blob WHERE packed_sha256 NOT IN (SELECT packed_sha256 FROM model)";

static tars_status end_transaction(store_index *index, tars_status status, tars_error *err) {
    if (status == TARS_OK) {
        status = run_sql(index, "COMMIT", err);
    }
    if (status != TARS_OK) {
        sqlite3_exec(index->db, "ROLLBACK", NULL, NULL, NULL); /* err keeps the first failure */
    }
    return status;
}

tars_status index_put(store_index *index, const store_entry *entry, tars_error *err) {
    /* the row of a packed file may be rewritten while names refer to it */
    tars_status status = run_sql(index, "BEGIN IMMEDIATE; PRAGMA defer_foreign_keys = ON", err);
    if (status != TARS_OK) {
        return end_transaction(index, status, err);
    }
    status = put_blob(index, entry, err);
    if (status == TARS_OK) {
        status = put_name(index, entry, err);
    }
    if (status == TARS_OK) {
        status = run_sql(index, sweep_sql, err);
    }
    return end_transaction(index, status, err);
}

tars_status index_remove(store_index *index, const char *name, bool *orphan, tars_error *err) {
    *orphan = false;
    store_entry entry;
    tars_status status = run_sql(index, "BEGIN IMMEDIATE", err);
    if (status == TARS_OK) {
        status = index_get(index, name, &entry, err);
    }
    sqlite3_stmt *statement = NULL;
    if (status == TARS_OK) {
        status = prepare(index, "DELETE FROM model WHERE name = ?1", &statement, err);
    }
    if (status == TARS_OK) {
        sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC);
        status = finish_statement(index, statement, err);
    }
    if (status == TARS_OK) {
        status = run_sql(index, sweep_sql, err);
    }
    uint64_t names = 1;
    if (status == TARS_OK) {
        status = index_count_names(index, entry.model.packed_sha256, &names, err);
    }
    status = end_transaction(index, status, err);
    *orphan = status == TARS_OK && names == 0;
    return status;
}

tars_status index_refresh(store_index *index, const store_entry *entry, tars_error *err) {
    sqlite3_stmt *statement;
    tars_status status = prepare(index,
                                 "UPDATE blob SET inode = ?2, mtime_ns = ?3, ctime_ns = ?4"
                                 " WHERE packed_sha256 = ?1",
                                 &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, entry->model.packed_sha256, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, (int64_t)entry->inode);
    sqlite3_bind_int64(statement, 3, entry->mtime_ns);
    sqlite3_bind_int64(statement, 4, entry->ctime_ns);
    return finish_statement(index, statement, err);
}

tars_status index_copy(store_index *index, const char *path, tars_error *err) {
    sqlite3_stmt *statement;
    tars_status status = prepare(index, "VACUUM INTO ?1", &statement, err);
    if (status != TARS_OK) {
        return status;
    }
    sqlite3_bind_text(statement, 1, path, -1, SQLITE_STATIC);
    return finish_statement(index, statement, err);
}
