/* Ways out of a granted folder. The folder holds: inside.txt, sub/, and the links out (to a file
 * beside the folder), out_folder (to the folder above), root (to /), loop (to itself), in (to
 * inside.txt). None may lead to what is outside; `in` must work. */
#include "escape.h"

#define READ (__WASI_RIGHTS_FD_READ)

int main(void) {
    static const char *const ways_out[] = {"..",
                                           "../",
                                           "../outside.txt",
                                           "sub/../../outside.txt",
                                           "./../outside.txt",
                                           "sub/../..",
                                           "/etc/passwd",
                                           "/",
                                           "//",
                                           "/..",
                                           "out",
                                           "out_folder",
                                           "out_folder/outside.txt",
                                           "root",
                                           "root/etc/passwd",
                                           "loop",
                                           "loop/x",
                                           "sub/./.././../outside.txt",
                                           "inside.txt/../../x",
                                           "out/",
                                           "sub//..//..//outside.txt",
                                           "../data/inside.txt" /* out and in again */};
    __wasi_fd_t fd;
    __wasi_filestat_t stat;
    char buffer[256];
    __wasi_size_t used;
    for (size_t i = 0; i < sizeof ways_out / sizeof ways_out[0]; i++) {
        const char *path = ways_out[i];
        if (open_path(FOLDER, path, 0, READ, &fd) == 0) {
            fprintf(stderr, "opened %s\n", path);
            return 20;
        }
        MUST(open_path(FOLDER, path, __WASI_OFLAGS_CREAT, READ, &fd) != 0);
        MUST(open_path(FOLDER, path, __WASI_OFLAGS_DIRECTORY, READ, &fd) != 0);
        MUST(__wasi_path_filestat_get(FOLDER, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, &stat) != 0);
        MUST(__wasi_path_create_directory(FOLDER, path) != 0);
        if (path[0] == '.' || path[0] == '/' ||
            path[0] == 's') { /* not over the links themselves */
            MUST(__wasi_path_rename(FOLDER, "inside.txt", FOLDER, path) != 0);
        }
        MUST(__wasi_path_link(FOLDER, 0, path, FOLDER, "hard") != 0 ||
             __wasi_path_unlink_file(FOLDER, "hard") == 0);
    }
    MUST(open_path(FOLDER, "in", 0, READ, &fd) == 0);
    MUST(open_path(FOLDER, "sub/../inside.txt", 0, READ, &fd) == 0);
    /* links of its own: not to absolute places; one that leads out is not followed */
    MUST(__wasi_path_symlink("/etc/passwd", FOLDER, "mine") != 0);
    if (__wasi_path_symlink("../outside.txt", FOLDER, "mine") == 0) {
        MUST(open_path(FOLDER, "mine", 0, READ, &fd) != 0);
        MUST(__wasi_path_readlink(FOLDER, "mine", (uint8_t *)buffer, sizeof buffer, &used) == 0);
        MUST(__wasi_path_unlink_file(FOLDER, "mine") == 0);
    }
    puts("kept in");
    return 0;
}
