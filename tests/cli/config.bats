#!/usr/bin/env bats
# config check, show and schema.
# shellcheck disable=SC2016,SC2030,SC2031
load helper

setup() {
    dir=$BATS_TEST_TMPDIR/config
    export XDG_CONFIG_HOME=$BATS_TEST_TMPDIR/xdg
    unset TARS_CONFIG_DIR TARS_ENVIRONMENT TARS_LOG_LEVEL TARS_MODEL TARS_HTTP_ADDR
    mkdir -p "$dir"
}

deployment() {
    printf '%s\n' "$@" >"$dir/deployment.config.yaml"
}

@test "config check finds nothing wrong without files" {
    capture "$TARS" config check --config "$dir"
    expect_status 0
    [ -z "$output" ] || fail "expected no diagnostics"
    capture "$TARS" config check --config "$dir" --json
    expect_status 0
    expect_json "d == {'valid': True, 'errors': 0, 'warnings': 0, 'diagnostics': []}"
}

@test "config check tells all mistakes of all files with their places" {
    deployment 'deployment:' '  wasm: {max_instance: 3}' '  logging:' '    level: loud'
    printf 'agents:\n  global: {default_timeout_minutes: 5 cows}\n' >"$dir/agents.config.yaml"
    capture "$TARS" config check --config "$dir"
    expect_status 2
    expect_output "$dir/deployment.config.yaml:2:10: error[C0105]: deployment.wasm.max_instance: there is no such key; did you mean \"max_instances\"?"
    expect_output "$dir/deployment.config.yaml:4:12: error[C0107]: deployment.logging.level: "
    expect_output "$dir/agents.config.yaml:2:37: error[C0106]: agents.global.default_timeout_minutes: "
    expect_error "3 errors"
    capture "$TARS" config check --config "$dir" --json
    expect_status 2
    expect_json "not d['valid'] and d['errors'] == 3 and len(d['diagnostics']) == 3"
    expect_json "{x['code'] for x in d['diagnostics']} == {'C0105','C0106','C0107'}"
    expect_json "all(set(x) == {'severity','code','file','line','column','path','message'} for x in d['diagnostics'])"
}

@test "config check warns and still succeeds" {
    deployment 'deployment: {wasm: {limits: {memory: 1MiB}}}'
    capture "$TARS" config check --config "$dir"
    expect_status 0
    expect_output "warning[C0320]: deployment.wasm.limits: "
}

@test "a secret file must be closed to others" {
    echo x >"$dir/tokens"
    deployment "deployment: {server: {auth: {mode: token, tokens_file: $dir/tokens}}}"
    chmod 644 "$dir/tokens"
    capture "$TARS" config check --config "$dir"
    expect_status 2
    expect_output "error[C0112]: deployment.server.auth.tokens_file: "
    chmod 600 "$dir/tokens"
    capture "$TARS" config check --config "$dir"
    expect_status 0
    [ -z "$output" ] || fail "expected no diagnostics"
}

@test "later layers win, and show tells where each value comes from" {
    mkdir -p "$dir/deployment.config.d" "$dir/environments/staging" "$XDG_CONFIG_HOME/tars"
    deployment 'deployment:' '  environment: staging' '  region: file' '  logging: {keep: 1, file: /a}' \
        '  docker: {environment: {a: 1, b: 2}}' '  selection: {runtime_chain: [native, wasm]}'
    echo 'deployment: {region: first, logging: {keep: 2}}' >"$dir/deployment.config.d/10.yaml"
    echo 'deployment: {region: second, "docker": {environment!: {c: 3}}}' >"$dir/deployment.config.d/20.yaml"
    echo 'deployment: {region: ignored}' >"$dir/deployment.config.d/30.yml"
    echo 'deployment: {logging: {keep: 3, file: null}}' >"$dir/environments/staging/x.yaml"
    echo 'deployment: {selection: {runtime_chain: [wasm]}}' >"$XDG_CONFIG_HOME/tars/deployment.config.yaml"
    capture "$TARS" config show --config "$dir" --json --origin
    expect_status 0
    expect_json "d['value']['deployment']['region'] == 'second'"
    expect_json "d['value']['deployment']['logging'] == {'level': 'info', 'format': 'json', 'rotate_mb': '100MB', 'keep': 3}"
    expect_json "d['value']['deployment']['docker']['environment'] == {'c': '3'}"
    expect_json "d['value']['deployment']['selection']['runtime_chain'] == ['wasm']"
    expect_json "d['origins']['deployment.logging.keep'].endswith('/environments/staging/x.yaml:1:30')"
    expect_json "d['origins']['deployment.logging.level'] == 'default'"
    expect_json "d['origins']['agents.communication.transport.fallback'] == 'default'"
    expect_json "len(d['files']) == 5"
    TARS__DEPLOYMENT__LOGGING__KEEP=4 capture "$TARS" config show --config "$dir" deployment.logging.keep
    [ "$output" = 4 ] || fail "expected 4"
    TARS__DEPLOYMENT__LOGGING__KEEP=4 capture "$TARS" config show --config "$dir" \
        --set deployment.logging.keep=5 --origin deployment.logging
    expect_output "keep: 5  # --set"
    TARS_ENVIRONMENT="test" capture "$TARS" config show --config "$dir" --origin deployment.logging
    expect_output "keep: 2  # $dir/deployment.config.d/10.yaml:1:45"
}

@test "what config show prints is a configuration with the same values" {
    deployment 'deployment:' '  alerts: [{name: "a: b", metric: m, for: 5m}]' \
        '  models: {"x.y": {path: "~", runtimes: [native]}}' '  cuda: {enabled: false}' \
        '  kubernetes: {ports: [{containerPort: 80}, [1, "2"]], env: {}}'
    capture "$TARS" config show --config "$dir"
    expect_status 0
    mkdir "$BATS_TEST_TMPDIR/again" "$BATS_TEST_TMPDIR/again/deployment.config.d"
    printf '%s\n' "$output" >"$BATS_TEST_TMPDIR/again/deployment.config.d/all.yaml"
    before=$output
    capture "$TARS" config show --config "$BATS_TEST_TMPDIR/again"
    expect_status 0
    diff <(printf '%s\n' "$before") <(printf '%s\n' "$output")
}

@test "config show takes the folder from TARS_CONFIG_DIR" {
    deployment 'deployment: {region: here}'
    TARS_CONFIG_DIR=$dir capture "$TARS" config show deployment.region
    [ "$output" = here ] || fail "expected here"
    TARS_CONFIG_DIR=$dir/none capture "$TARS" config show
    expect_status 2
    expect_error "is not there"
    capture "$TARS" config show --config "$dir/none" --json
    expect_status 2
    expect_json_error usage
}

@test "config show refuses a wrong configuration and unknown paths" {
    deployment 'deployment: {region: [x]}'
    capture "$TARS" config show --config "$dir"
    expect_status 2
    expect_error "error[C0106]: deployment.region"
    [ -z "$output" ] || fail "expected no output"
    capture "$TARS" config show --config "$dir" --json
    expect_status 2
    expect_json_error malformed
    capture "$TARS" config show deployment.wasm.limit
    expect_status 2
    expect_error 'did you mean "limits"?'
    capture "$TARS" config sho
    expect_status 2
    expect_error 'did you mean "show"?'
    capture "$TARS" config check deployment
    expect_status 2
}

@test "variables are put into texts of files and secrets stay out of them" {
    deployment 'deployment: {region: "${REGION_FOR_TEST}-${X_FOR_TEST:-1}"}'
    REGION_FOR_TEST=eu capture "$TARS" config show --config "$dir" deployment.region
    [ "$output" = eu-1 ] || fail "expected eu-1"
    capture "$TARS" config check --config "$dir"
    expect_status 2
    expect_output "error[C0110]"
    deployment 'deployment: {bus: {password: hunter2}}'
    capture "$TARS" config check --config "$dir"
    expect_status 2
    expect_output "error[C0111]: deployment.bus.password"
    [[ $output$errors != *hunter2* ]] || fail "the secret was shown"
}

@test "config schema is a JSON Schema that knows the keys" {
    capture "$TARS" config schema
    expect_status 0
    expect_json "d['\$schema'].startswith('https://json-schema.org/')"
    expect_json "d['properties']['deployment']['properties']['wasm']['properties']['max_instances']['maximum'] == 100000"
    expect_json "set(d['properties']) == {'agents','deployment','tree','organization'}"
}

@test "files that cannot be read are mistakes, and byte order marks and CR LF are none" {
    mkdir -p "$dir/deployment.config.d"
    printf '\357\273\277deployment:\r\n  region: here\r\n' >"$dir/deployment.config.yaml"
    capture "$TARS" config show --config "$dir" deployment.region
    [ "$output" = here ] || fail "expected here"
    ln -s nowhere "$dir/deployment.config.d/10.yaml"
    capture "$TARS" config check --config "$dir"
    expect_status 2
    expect_output "$dir/deployment.config.d/10.yaml:1:1: error[C0100]: "
    rm "$dir/deployment.config.d/10.yaml"
    head -c 1048577 /dev/zero | tr '\0' ' ' >"$dir/deployment.config.d/20.yaml"
    capture "$TARS" config check --config "$dir"
    expect_status 2
    expect_output "$dir/deployment.config.d/20.yaml:1:1: error[C0102]: "
}

@test "relative folders of the environment are good" {
    cd "$BATS_TEST_TMPDIR"
    TARS_CONFIG_DIR=config TARS_DATA_DIR=data capture "$TARS" config check
    expect_status 0
}
