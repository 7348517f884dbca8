"""Other people's programs, built from the upstream tarballs of source packages.

apt-get fetches the packages from the distribution that this machine has configured, and checks
their signatures; it needs no root and changes nothing of the system's own state. Tarballs and
programs are kept below the cache folder, programs in a folder for each set of sources, compiler,
C library and recipe; a second call fetches and builds nothing. wasi_programs.py and
linux_programs.py are recipes.
"""

import hashlib
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from typing import NamedTuple

STEP_SECONDS = 600


class Absent(Exception):
    """They cannot be had; the text says why."""


class Recipe(NamedTuple):
    """A set of programs that are built together."""

    tool: str  # the script's name
    folder: str  # below the cache
    variable: str  # of the environment: names a folder that has the programs
    programs: dict  # file name: (source package, function of tree, work folder and output)
    needs: object  # returns texts: what of this machine the programs depend on; raises Absent


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "tars"


def digest_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(command, folder):
    """Returns the standard output; Absent with the end of what it printed when it fails."""
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    environment.update(LC_ALL="C.UTF-8", SOURCE_DATE_EPOCH="0")
    result = subprocess.run(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                            text=True, errors="replace", timeout=STEP_SECONDS)
    if result.returncode != 0:
        tail = "\n".join((result.stdout + result.stderr).splitlines()[-20:])
        raise Absent(f"{shlex.join(words)} ended with {result.returncode}:\n{tail}")
    return result.stdout


# ---- sources ----------------------------------------------------------------------------------


def entries_of_list(text):
    """sources.list(5), one line an entry, as entries for source packages. What vouches for an archive
    without a signature is taken out."""
    lines = []
    for line in text.splitlines():
        match = re.match(r"\s*deb(?:-src)?\s+(?:\[([^]]*)\]\s+)?([^#\s].*)", line)
        if match and not match.group(2).startswith("cdrom:"):
            options = [o for o in (match.group(1) or "").split() if not o.lower().startswith("trusted")]
            bracket = f"[{' '.join(options)}] " if options else ""
            lines.append(f"deb-src {bracket}{match.group(2)}\n")
    return "".join(dict.fromkeys(lines))


def entries_of_stanzas(text):
    """The same for the form with a stanza an entry."""
    text = re.sub(r"(?im)^trusted[ \t]*:.*\n?", "", text)
    return re.sub(r"(?im)^types[ \t]*:.*$", "Types: deb-src", text)


def write_source_lists(folder):
    answer = run(["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"], folder)
    places = dict(word.split("=", 1) for word in shlex.split(answer))
    paths = [pathlib.Path(places["LIST"])] if "LIST" in places else []
    paths += sorted(pathlib.Path(places["PARTS"]).glob("*")) if "PARTS" in places else []
    lines = ""
    for number, path in enumerate(paths):
        if path.suffix not in (".list", ".sources") or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            (folder / f"{number}.sources").write_text(entries_of_stanzas(text), encoding="utf-8")
        else:
            lines += entries_of_list(text)
    (folder / "all.list").write_text(lines, encoding="utf-8")


def write_apt_settings(scratch):
    """Everything that apt-get writes lies in `scratch`, and nothing without a signature is taken."""
    for name in ("state/lists/partial", "cache/archives/partial", "parts"):
        (scratch / name).mkdir(parents=True)
    write_source_lists(scratch / "parts")
    settings = {
        "Dir::State": scratch / "state", "Dir::State::lists": scratch / "state/lists",
        "Dir::Cache": scratch / "cache", "Dir::Cache::archives": scratch / "cache/archives",
        "Dir::Etc::sourcelist": "/dev/null", "Dir::Etc::sourceparts": scratch / "parts",
        "Acquire::Retries": 1, "Acquire::http::Timeout": 30, "Acquire::https::Timeout": 30,
        "Acquire::Languages": "none", "Acquire::AllowInsecureRepositories": "false",
        "Acquire::AllowWeakRepositories": "false", "Acquire::AllowDowngradeToInsecureRepositories": "false",
        "APT::Get::AllowUnauthenticated": "false",
    }
    hooks = ("Pre-Invoke", "Post-Invoke", "Post-Invoke-Success")
    text = "".join(f"#clear APT::Update::{hook};\n" for hook in hooks)
    text += "".join(f'{name} "{value}";\n' for name, value in settings.items())
    (scratch / "apt.conf").write_text(text, encoding="utf-8")
    return ["apt-get", "-qq", "-c", scratch / "apt.conf"]


def tarball_of(folder, package):
    """The upstream tarball, without those of further components."""
    found = [path for path in folder.glob(f"{package}_*")
             if re.fullmatch(rf"{re.escape(package)}_[^_]+\.orig\.tar\.(gz|bz2|xz)", path.name)]
    return found[0] if len(found) == 1 else None


def known_sources(packages):
    """Package name: tarball. Without those that are not there, or not what was once fetched."""
    found = {}
    for package in packages:
        folder = cache_folder() / "sources" / package
        path = tarball_of(folder, package)
        digest = folder / "SHA256"
        if path and digest.exists() and digest.read_text(encoding="ascii").strip() == digest_of(path):
            found[package] = path
    return found


def keep_source(downloads, package):
    path = tarball_of(downloads, package)
    if not path:
        raise Absent(f"the source package {package} has not one upstream tarball")
    folder = cache_folder() / "sources" / package
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = pathlib.Path(scratch) / "made"
        made.mkdir()
        shutil.copyfile(path, made / path.name)
        (made / "SHA256").write_text(digest_of(path) + "\n", encoding="ascii")
        if folder.exists():  # damaged
            shutil.rmtree(folder)
        made.rename(folder)


def fetch_sources(packages):
    if os.environ.get("TARS_OFFLINE") not in (None, "", "0"):
        raise Absent("TARS_OFFLINE is set: no source packages are fetched")
    for tool in ("apt-get", "apt-config"):
        if not shutil.which(tool):
            raise Absent(f"no {tool} here to fetch source packages with")
    print(f"Fetching the source packages {' '.join(packages)}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(prefix="tars-apt-") as folder:
        scratch = pathlib.Path(folder)
        scratch.chmod(0o755)  # apt-get gives up root while it fetches
        downloads = scratch / "downloads"
        downloads.mkdir()
        if os.geteuid() == 0:
            try:
                shutil.chown(downloads, "_apt")
            except (LookupError, OSError):
                pass  # then it fetches as root, and says so
        apt_get = write_apt_settings(scratch)
        try:
            run([*apt_get, "update"], scratch)
        except Absent as problem:  # of some archive, perhaps of none that matters
            print(f"upstream: {problem}", file=sys.stderr)
        command = [*apt_get, "source", "--only-source", "--tar-only", "--download-only", *packages]
        run(command, downloads)
        for package in packages:
            keep_source(downloads, package)


def unpack(tarball, folder):
    """Returns the folder in the tarball."""
    with tarfile.open(tarball) as archive:
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, filter="data")
        else:
            archive.extractall(folder)  # signed by the distribution
    return next(path for path in folder.iterdir() if path.is_dir())


# ---- programs ---------------------------------------------------------------------------------


def make_sqlite3_sources(tree, folder):
    """sqlite3.c and shell.c, put together in `folder`."""
    if not shutil.which("tclsh") and not (tree / "autosetup/jimsh0.c").exists():
        raise Absent("no tclsh here, which puts the source of sqlite3 together (make packages)")
    run([tree / "configure", "--disable-tcl", "--disable-shared"], folder)
    run(["make", "-j1", "sqlite3.c", "shell.c"], folder)
    return [folder / "sqlite3.c", folder / "shell.c"]


def lua_sources(tree):
    return [path for path in sorted((tree / "src").glob("*.c")) if path.name != "luac.c"]


def minigzip_sources(tree):
    return [*sorted(tree.glob("*.c")), tree / "test/minigzip.c"]


def folder_of(recipe, sources, texts):
    """Named by everything that makes the programs what they are, the scripts included."""
    texts = [*texts, digest_of(pathlib.Path(__file__)), digest_of(pathlib.Path(__file__).parent / recipe.tool)]
    texts += [f"{package} {digest_of(sources[package])}" for package in sorted(sources)]
    return cache_folder() / recipe.folder / hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def is_complete(recipe, folder):
    try:
        lines = (folder / "SHA256SUMS").read_text(encoding="ascii").splitlines()
        digests = dict(reversed(line.split("  ", 1)) for line in lines)
        return all(digests.get(name) == digest_of(folder / name) for name in recipe.programs)
    except (OSError, ValueError):
        return False


def build(recipe, sources, folder):
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as name:
        scratch = pathlib.Path(name)
        made = scratch / "made"
        made.mkdir()
        sums = ""
        for program, (package, builder) in recipe.programs.items():
            tarball = sources[package]
            print(f"Building {program} from {tarball.name} ({recipe.folder})", file=sys.stderr, flush=True)
            for part in ("tree", "work"):
                (scratch / program / part).mkdir(parents=True)
            output = made / program
            tree = unpack(tarball, scratch / program / "tree")
            builder(tree, scratch / program / "work", output)
            sums += f"{digest_of(output)}  {output.name}\n"
        (made / "SHA256SUMS").write_text(sums, encoding="ascii")
        if folder.exists():  # damaged, or another call was faster
            shutil.rmtree(folder)
        made.rename(folder)


def folder_with_programs(recipe, build_them):
    given = os.environ.get(recipe.variable)
    if given:
        folder = pathlib.Path(given)
        missing = [name for name in recipe.programs if not (folder / name).exists()]
        if missing:
            raise Absent(f"{recipe.variable}={given} lacks {', '.join(missing)}")
        return folder
    texts = recipe.needs()  # before anything is fetched
    packages = list(dict.fromkeys(package for package, _ in recipe.programs.values()))
    sources = known_sources(packages)
    missing = [package for package in packages if package not in sources]
    if missing:
        if not build_them:
            raise Absent(f"the programs have not been built (tools/{recipe.tool} does)")
        fetch_sources(missing)
        sources = known_sources(packages)
    folder = folder_of(recipe, sources, texts)
    if not is_complete(recipe, folder):
        if not build_them:
            raise Absent(f"the programs have not been built with this compiler (tools/{recipe.tool} does)")
        build(recipe, sources, folder)
    return folder


def print_folder(recipe, print_only):
    """Returns the exit status of a script: 5 when the programs cannot be had."""
    try:
        print(folder_with_programs(recipe, build_them=not print_only))
    except (Absent, OSError, tarfile.TarError, subprocess.TimeoutExpired) as problem:
        print(f"{recipe.tool.removesuffix('.py')}: {problem}", file=sys.stderr)
        return 1 if print_only else 5
    return 0
