#!/usr/bin/env bats
# tars exec --runtime microvm --isolate-host: the same program ends alike, and the process between it
# and tars may end in any way. Its walls are in tests/project/walls.py and runtime/test_vmm_walls.c.
load helper

setup_file() {
    cat >"$BATS_FILE_TMPDIR/does.c" <<'C'
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static void *add(void *sum) {
    __atomic_fetch_add((int *)sum, 1, __ATOMIC_SEQ_CST);
    return sum;
}
static int threads(void) {
    pthread_t all[6];
    int sum = 0;
    for (int i = 0; i < 6; i++) {
        pthread_create(&all[i], NULL, add, &sum);
    }
    for (int i = 0; i < 6; i++) {
        pthread_join(all[i], NULL);
    }
    printf("%d threads\n", sum);
    return 0;
}
static int copy(const char *from, const char *to) {
    char line[100] = "";
    FILE *in = fopen(from, "r");
    FILE *out = fopen(to, "w");
    if (!in || !out || !fgets(line, sizeof line, in) || fputs(line, out) < 0 || fclose(out) != 0) {
        perror("copy");
        return 7;
    }
    printf("copied %s", line);
    return 0;
}
int main(int argc, char **argv) {
    char line[64] = "";
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "threads") == 0) {
        return threads();
    }
    if (strcmp(what, "copy") == 0) {
        return copy(argv[2], argv[3]);
    }
    if (strcmp(what, "spin") == 0) {
        printf("began\n");
        fflush(stdout);
        for (volatile int i = 0;; i++) {
        }
    }
    if (strcmp(what, "sleep") == 0) {
        sleep(1000);
    }
    while (strcmp(what, "write") == 0) {
        puts("more and more");
    }
    if (strcmp(what, "take") == 0) {
        for (;;) {
            char *more = malloc(1 << 20);
            if (!more) {
                return 5;
            }
            memset(more, 1, 1 << 20);
        }
    }
    if (strcmp(what, "crash") == 0) {
        *(volatile int *)0x10 = 1;
    }
    if (strcmp(what, "abort") == 0) {
        abort();
    }
    printf("%s %s %s\n", what, getenv("COLOUR") ? getenv("COLOUR") : "-",
           fgets(line, sizeof line, stdin) ? line : "-");
    fprintf(stderr, "told\n");
    return argc > 2 ? atoi(argv[2]) : 0;
}
C
    cc -O2 -static -pthread -o "$BATS_FILE_TMPDIR/does" "$BATS_FILE_TMPDIR/does.c" 2>/dev/null || true
}

setup() {
    own_home
    DOES=$BATS_FILE_TMPDIR/does
    need_machines "$DOES"
    DATA=$BATS_TEST_TMPDIR/data
    mkdir -p "$DATA"
    echo inside >"$DATA/a"
}

teardown() {
    if [ -n "${started-}" ]; then
        kill -KILL "$started" 2>/dev/null || true
    fi
}

# What does not depend on time or on how it was run.
without_figures() {
    json "{k: v for k, v in d.items() if k not in ('usage', 'missing')}"
    json "{k: d.get('usage', {}).get(k) for k in ('bytes_in', 'bytes_out')}"
}

# alike OPTION… -- ARG…: the same document and exit status in both ways.
alike() {
    local options=() here
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    shift
    capture "$TARS" exec --json --runtime microvm "${options[@]}" "$DOES" -- "$@"
    here=$(without_figures)
    expected=$status
    capture "$TARS" exec --json --runtime microvm --isolate-host "${options[@]}" "$DOES" -- "$@"
    expect_status "$expected"
    [ "$(without_figures)" = "$here" ] || fail "expected, as without --isolate-host: $here"
}

@test "programs end alike" {
    printf 'from a file\n' >"$BATS_TEST_TMPDIR/in"
    alike --env COLOUR=blue --stdin "$BATS_TEST_TMPDIR/in" -- x 3
    expect_json "d['exit_code'] == 3 and d['stdout'] == 'x blue from a file\n\n' and d['stderr'] == 'told\n'"
    expect_json "0 < d['usage']['start_ms'] <= d['usage']['wall_ms'] and d['usage']['cpu_ms'] > 0"
    expect_json "d['usage']['memory_peak_bytes'] > 0 and d['usage']['host_calls']['exit_group'] == 1"
    alike --profile strict -- y 0
    alike -- threads
    alike -- crash
    expect_json "d['status'] == 'trap' and d['exit_code'] == 139"
    alike -- abort
    alike -- z 255
}

@test "its input may be a pipe" {
    printf 'from a pipe\n' | "$TARS" exec --runtime microvm --isolate-host --stdin - "$DOES" -- p >"$BATS_TEST_TMPDIR/got"
    grep -q "^p - from a pipe" "$BATS_TEST_TMPDIR/got"
}

@test "files are the granted ones" {
    alike --dir "$DATA::/data" -- copy /data/a /data/b
    expect_json "d['exit_code'] == 0 and d['stdout'] == 'copied inside\n'"
    [ "$(cat "$DATA/b")" = inside ] || fail "expected the file"
    alike --dir "$DATA::/data:ro" -- copy /data/a /data/c
    expect_json "d['status'] == 'denied'"
    [ ! -e "$DATA/c" ] || fail "it was written"
    alike --dir "$DATA::/data" -- copy /data/../../etc/passwd /data/c
    alike --dir "$DATA::/data" --dir "$DATA::/else:ro" -- copy /else/a /data/d
    alike --dir "$BATS_TEST_TMPDIR/absent::/data" -- x
}

@test "limits are the same" {
    alike --timeout 300ms -- spin
    expect_json "d['status'] == 'limit' and d['stdout'] == 'began\n'"
    expect_status 4
    alike --timeout 300ms -- sleep
    alike --max-output 100KiB -- write
    expect_json "d['status'] == 'limit' and len(d['stdout']) == 102400"
    alike --memory 8MiB -- take
    alike --memory 64KiB -- x
    expect_status 4
}

@test "what cannot run is told alike" {
    printf '#!/bin/sh\n' >"$BATS_TEST_TMPDIR/script"
    capture "$TARS" exec --runtime microvm --isolate-host "$BATS_TEST_TMPDIR/script"
    expect_status 2
    for runtime in native wasm; do
        capture "$TARS" exec --runtime $runtime --isolate-host "$DOES"
        [ "$status" -ne 0 ] || fail "expected a refusal"
        expect_error "isolate-host"
    done
}

# launch OPTION… -- ARG…: starts tars, as $started.
launch() {
    local options=()
    while [ "$1" != -- ]; do
        options+=("$1")
        shift
    done
    "$TARS" exec --runtime microvm --isolate-host "${options[@]}" "$DOES" "$@" >"$BATS_TEST_TMPDIR/stdout" 2>"$BATS_TEST_TMPDIR/err" &
    started=$!
}

# find_host CONDITION: the process that runs the machine, as $host, once that is true of it.
find_host() {
    for _ in $(seq 2000); do
        host=$(pgrep -P "$started" || true)
        if [ -n "$host" ] && "$1" "$host" 2>/dev/null; then
            return 0
        fi
        sleep 0.01
    done
    fail "there was no such process"
}

is_behind_both_filters() {
    local mine theirs
    mine=$(sed -n 's/^Seccomp_filters:\t//p' /proc/self/status)
    theirs=$(sed -n 's/^Seccomp_filters:\t//p' "/proc/$1/status")
    [ "$theirs" -eq $((mine + 2)) ]
}

stop() {
    kill -STOP "$1"
}

start_sleeping() {
    launch --timeout 60s -- sleep
    find_host is_behind_both_filters
}

wait_for_started() {
    status=0
    wait "$started" || status=$?
    errors=$(cat "$BATS_TEST_TMPDIR/err")
}

is_gone() {
    for _ in $(seq 200); do
        [ -d "/proc/$1" ] || return 0
        sleep 0.05
    done
    fail "process $1 is still there"
}

@test "a process that is killed is told" {
    start_sleeping
    kill -KILL "$host"
    wait_for_started
    expect_status 1
    expect_error "the process of the virtual machine was killed by signal 9"
    [ ! -s "$BATS_TEST_TMPDIR/stdout" ] || fail "expected nothing of the program"
}

@test "an interrupt ends both" {
    start_sleeping
    kill -INT "$host" # as a terminal does; the other decides
    kill -INT "$started"
    wait_for_started
    expect_status 130
    expect_error "cancelled"
    is_gone "$host"
}

@test "a process that stands still is ended with its time" {
    launch --json --timeout 1s -- spin
    find_host stop
    wait_for_started
    expect_status 4
    expect_json "d['status'] == 'limit' and d['exit_code'] == -1"
    is_gone "$host"
}

@test "it ends with tars" {
    start_sleeping
    kill -KILL "$started"
    wait "$started" || true
    is_gone "$host"
}

@test "a user without rights has the same walls" {
    need_nobody
    mknod -m 666 "$BATS_TEST_TMPDIR/kvm" c 10 232 2>/dev/null || skip "no devices can be made here"
    # in a mount namespace of its own, nobody may use /dev/kvm
    # shellcheck disable=SC2016 # for the shell inside
    capture unshare -m bash -c 'mount --make-rprivate / && mount --bind "$1" /dev/kvm &&
        exec setpriv --reuid=65534 --regid=65534 --clear-groups "$2" exec --json --runtime microvm \
            --isolate-host --dir "$3::/data:ro" "$4" -- copy /data/a /data/b' \
        - "$BATS_TEST_TMPDIR/kvm" "$TARS" "$DATA" "$DOES"
    [[ $errors != *"mount:"* && $errors != *"unshare:"* ]] || skip "no mount namespace here"
    expect_json "d['missing'] == [] or 'root folder' in d['missing'][0]"
    expect_json "d['status'] == 'denied' and d['exit_code'] == 7"
}
