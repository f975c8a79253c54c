/* The functions of every C library that Sysforge makes: init_julia and shutdown_julia, with the
   signatures that PackageCompiler gives them. Compiled when Sysforge is built, and linked into each library.

   The code finds the library's own file, and from there the root of the bundle. What differs between
   libraries is in a text file, share/sysforge/NAME.library: one `key value` a line. libjulia is open already
   (the library needs it); its functions are looked up by name, as they differ between versions of Julia. */

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#else
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>
#endif
#include <limits.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32
#define EXPORT __declspec(dllexport)
#define SEPARATOR ";"
#define SYSTEM_DATA "LOCALAPPDATA"
#define JULIA_BINDIR "bin"
#define HOME_DATA ""
#define ALSO_BACKSLASH 1
#else
#define ALSO_BACKSLASH 0
#define EXPORT __attribute__((visibility("default")))
#define SEPARATOR ":"
/* Julia's Sys.BINDIR must exist, because packages look for files in folders beside it, and `bin` is part of
   a bundle only on Windows. */
#define JULIA_BINDIR "lib"
#ifdef __APPLE__
#define SYSTEM_DATA NULL
#define HOME_DATA "/Library/Application Support"
#else
#define SYSTEM_DATA "XDG_DATA_HOME"
#define HOME_DATA "/.local/share"
#endif
#endif

#define LONGEST_PATH 8192
#define MOST_WORDS 256

EXPORT void init_julia(int argc, char **argv);
EXPORT void shutdown_julia(int retcode);

/* ---- The system ---- */

static void say(const char *text)
{
#ifdef _WIN32
    DWORD written;
    WriteFile(GetStdHandle(STD_ERROR_HANDLE), text, (DWORD)strlen(text), &written, NULL);
#else
    size_t left = strlen(text);
    while (left > 0) {
        ssize_t done = write(2, text, left);
        if (done <= 0)
            return;
        text += done;
        left -= (size_t)done;
    }
#endif
}

/* init_julia returns nothing, so it cannot tell its caller: like Julia, whose image cannot be loaded, it
   ends the process. */
static void fail(const char *what, const char *which)
{
    say("init_julia: ");
    say(what);
    if (which != NULL) {
        say(": ");
        say(which);
    }
    say("\n");
    exit(1);
}

static char *joined(const char *first, const char *second, const char *third)
{
    size_t one = strlen(first), two = strlen(second), three = strlen(third);
    char *text = malloc(one + two + three + 1);
    if (text == NULL)
        fail("out of memory", NULL);
    memcpy(text, first, one);
    memcpy(text + one, second, two);
    memcpy(text + one + two, third, three + 1);
    return text;
}

#ifdef _WIN32
static wchar_t *wide(const char *text)
{
    int length = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wchar_t *result = malloc(sizeof(wchar_t) * (size_t)(length > 0 ? length : 1));
    if (result == NULL)
        fail("out of memory", NULL);
    result[0] = 0;
    MultiByteToWideChar(CP_UTF8, 0, text, -1, result, length);
    return result;
}

static char *narrow(const wchar_t *text)
{
    int length = WideCharToMultiByte(CP_UTF8, 0, text, -1, NULL, 0, NULL, NULL);
    char *result = malloc((size_t)(length > 0 ? length : 1));
    if (result == NULL)
        fail("out of memory", NULL);
    result[0] = 0;
    WideCharToMultiByte(CP_UTF8, 0, text, -1, result, length, NULL, NULL);
    return result;
}

/* The value of a variable, or a null pointer if it is not set or empty. */
static char *variable(const char *name)
{
    wchar_t *wide_name = wide(name);
    DWORD length = GetEnvironmentVariableW(wide_name, NULL, 0);
    char *result = NULL;
    if (length > 1) {
        wchar_t *value = malloc(sizeof(wchar_t) * length);
        if (value != NULL && GetEnvironmentVariableW(wide_name, value, length) < length)
            result = narrow(value);
        free(value);
    }
    free(wide_name);
    return result;
}

static void set_variable(const char *name, const char *value)
{
    wchar_t *wide_name = wide(name);
    wchar_t *wide_value = value == NULL ? NULL : wide(value);
    SetEnvironmentVariableW(wide_name, wide_value);
    free(wide_name);
    free(wide_value);
}

/* The path of this library. */
static char *own_path(void)
{
    HMODULE module;
    static wchar_t path[LONGEST_PATH];
    if (!GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS |
                                GET_MODULE_HANDLE_EX_FLAG_UNCHANGED_REFCOUNT,
                            (LPCWSTR)(void *)&init_julia, &module))
        return NULL;
    DWORD length = GetModuleFileNameW(module, path, LONGEST_PATH);
    if (length == 0 || length >= LONGEST_PATH)
        return NULL;
    return narrow(wcsncmp(path, L"\\\\?\\", 4) == 0 && path[5] == L':' ? path + 4 : path);
}

static void *opened(const char *path)
{
    wchar_t *name = wide(path);
    HMODULE library = LoadLibraryExW(name, NULL, LOAD_WITH_ALTERED_SEARCH_PATH);
    free(name);
    return (void *)library;
}

static void *symbol(void *library, const char *name)
{
    return (void *)GetProcAddress((HMODULE)library, name);
}

static char *content(const char *path)
{
    wchar_t *name = wide(path);
    HANDLE file = CreateFileW(name, GENERIC_READ, FILE_SHARE_READ, NULL, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    free(name);
    if (file == INVALID_HANDLE_VALUE)
        return NULL;
    DWORD size = GetFileSize(file, NULL), done = 0;
    char *text = size < (1u << 20) ? malloc((size_t)size + 1) : NULL;
    if (text != NULL && !ReadFile(file, text, size, &done, NULL))
        done = 0;
    if (text != NULL)
        text[done] = 0;
    CloseHandle(file);
    return text;
}
#else
static char *variable(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == 0 ? NULL : joined(value, "", "");
}

static void set_variable(const char *name, const char *value)
{
    if (value == NULL)
        unsetenv(name);
    else
        setenv(name, value, 1);
}

static char *own_path(void)
{
    Dl_info info;
    static char path[PATH_MAX > LONGEST_PATH ? PATH_MAX : LONGEST_PATH];
    if (dladdr((void *)&init_julia, &info) == 0 || info.dli_fname == NULL)
        return NULL;
    if (realpath(info.dli_fname, path) == NULL)
        return NULL;
    return joined(path, "", "");
}

/* Opens a library and lets others see its symbols, also if it was opened without that: code in images looks
   up functions of libjulia by their names alone. */
static void *opened(const char *path)
{
    return dlopen(path, RTLD_LAZY | RTLD_GLOBAL);
}

static void *symbol(void *library, const char *name)
{
    return dlsym(library, name);
}

static char *content(const char *path)
{
    size_t size = 0, room = 1 << 16;
    char *text = malloc(room);
    int file = open(path, O_RDONLY);
    if (file < 0 || text == NULL)
        return NULL;
    for (;;) {
        ssize_t done = read(file, text + size, room - 1 - size);
        if (done <= 0)
            break;
        size += (size_t)done;
        if (size + 1 == room) {
            char *more = realloc(text, room *= 2);
            if (more == NULL || room > (1 << 20))
                return NULL;
            text = more;
        }
    }
    close(file);
    text[size] = 0;
    return text;
}
#endif

/* ---- The description ---- */

/* The end of the folder in a path. */
static char *last_separator(char *path)
{
    char *found = NULL;
    for (; *path != 0; path++)
        if (*path == '/' || (ALSO_BACKSLASH && *path == '\\'))
            found = path;
    return found;
}

/* The next line `KEY VALUE` with this key after *place; its value, with a zero byte at its end. The
   text is changed: each line is found once. */
static char *next_value(char **place, const char *key)
{
    size_t length = strlen(key);
    char *line = *place;
    while (line != NULL && *line != 0) {
        char *end = strchr(line, '\n');
        char *next = end == NULL ? NULL : end + 1;
        if (strncmp(line, key, length) == 0 && line[length] == ' ') {
            if (end != NULL)
                *end = 0;
            *place = next;
            return line + length + 1;
        }
        line = next;
    }
    *place = NULL;
    return NULL;
}

static char *value_of(const char *text, const char *key)
{
    char *copy = joined(text, "", "");
    char *place = copy;
    char *value = next_value(&place, key);
    value = value == NULL ? NULL : joined(value, "", "");
    free(copy);
    return value;
}

/* ---- Julia ---- */

static void *julia;

static void *function(const char *name)
{
    void *address = symbol(julia, name);
    if (address == NULL)
        fail("the libjulia of this library has no function", name);
    return address;
}

/* Calls a function of the image that is for launchers (crates/launcher/src/start.jl) with a string. Returns a null pointer
   if it threw an exception. */
static void *called(const char *name, const char *argument)
{
    void *(*name_symbol)(const char *);
    void *(*global)(void *, void *);
    void *(*string)(const char *, size_t);
    void *(*call)(void *, void *);
    void *address = function("jl_symbol"), *module, *found = NULL;
    memcpy(&name_symbol, &address, sizeof name_symbol);
    address = function("jl_get_global");
    memcpy(&global, &address, sizeof global);
    address = function("jl_pchar_to_string");
    memcpy(&string, &address, sizeof string);
    address = function("jl_call1");
    memcpy(&call, &address, sizeof call);
    module = global(*(void **)function("jl_main_module"), name_symbol("SysforgeStart"));
    if (module != NULL)
        found = global(module, name_symbol(name));
    if (found == NULL)
        fail("the image was not made for a C library, it has no SysforgeStart", name);
    /* Bindings of modules keep the function, and jl_call1 roots the new string. */
    return call(found, string(argument, strlen(argument)));
}

/* A user without a folder of their own has the bundle alone. */
static char *depots(const char *name, const char *share)
{
    char *data = variable("SYSFORGE_APP_DATA");
    if (data == NULL && SYSTEM_DATA != NULL) {
        char *system = variable(SYSTEM_DATA);
#ifndef _WIN32
        /* A relative value is invalid (XDG Base Directory Specification). */
        if (system != NULL && system[0] != '/')
            system = NULL;
#endif
        if (system != NULL)
            data = joined(system, "/", name);
    }
    if (data == NULL && HOME_DATA[0] != 0) {
        char *home = variable("HOME");
        if (home != NULL && home[0] == '/')
            data = joined(home, HOME_DATA "/", name);
    }
    if (data == NULL || strstr(data, SEPARATOR) != NULL)
        return joined(share, "", "");
    return joined(data, SEPARATOR, share);
}

static char *words[MOST_WORDS];
static int count;

static void add_word(char *word)
{
    if (count + 1 >= MOST_WORDS)
        fail("too many options for Julia", NULL);
    words[count++] = word;
}

/* Gives Julia its options: those of the library, of the variable and of the caller, so that later ones
   win. Returns where those that are none begin. */
static char **parse_options(char *text, int argc, char **argv, int *left)
{
    char *place = joined(text, "", ""), *option, *more;
    int index;
    void (*parse)(int *, char ***);
    void *address = function("jl_parse_opts");
    char **array = words;
    add_word(argc > 0 && argv != NULL && argv[0] != NULL ? argv[0] : (char *)"julia");
    while ((option = next_value(&place, "option")) != NULL)
        add_word(option);
    more = variable("SYSFORGE_JULIA_ARGS");
    while (more != NULL && *more != 0) {
        char *end = more;
        while (*end != 0 && *end != ' ')
            end++;
        place = *end == 0 ? NULL : end + 1;
        *end = 0;
        if (*more != 0)
            add_word(more);
        more = place;
    }
    for (index = 1; argv != NULL && index < argc; index++)
        add_word(argv[index]);
    words[count] = NULL;
    memcpy(&parse, &address, sizeof parse);
    /* Julia prints what is wrong with them and ends the process. */
    parse(&count, &array);
    *left = count;
    return array;
}

static void set_arguments(char **array, int left)
{
    int index = left > 0 && array[0] == words[0] ? 1 : 0;
    called("begin_program", "");
    for (; index < left; index++)
        called("add_argument", array[index]);
}

EXPORT void init_julia(int argc, char **argv)
{
    /* 1.12 and later; 1.7 to 1.11; 1.5 and 1.6. */
    static const char *const starts[] = {"jl_init_with_image_file", "jl_init_with_image",
                                         "jl_init_with_image__threading"};
    static const char *const changed[] = {"JULIA_DEPOT_PATH", "JULIA_LOAD_PATH", "JULIA_PROJECT"};
    char *before[3];
    char *path, *root, *end, *stem, *text, *library, *share, *place, *described, *depot;
    char **rest;
    int left, index;
    void *address = NULL;
    int (*is_initialized)(void);
    void (*start)(const char *, const char *);
    int (*unbox)(void *);

    if (julia != NULL)
        return;
    path = own_path();
    if (path == NULL)
        fail("the system does not say where this library is", NULL);
    /* lib/libNAME.so.1.2.3, lib/libNAME.1.2.3.dylib or bin\NAME.dll */
    root = joined(path, "", "");
    end = last_separator(root);
    if (end == NULL)
        fail("this library is in no folder", path);
    stem = joined(end + 1, "", "");
    *end = 0;
    end = last_separator(root);
    if (end == NULL)
        fail("this library is in no bundle", path);
    *end = 0;
#ifndef _WIN32
    if (strncmp(stem, "lib", 3) == 0)
        stem += 3;
#endif
    end = strchr(stem, '.');
    if (end != NULL)
        *end = 0;
    text = content(joined(joined(root, "/share/sysforge/", stem), ".library", ""));
    if (text == NULL)
        fail("copy or move the whole folder of the library, not its file alone; there is no",
             joined(joined(root, "/share/sysforge/", stem), ".library", ""));
    library = value_of(text, "library");
    if (library == NULL || value_of(text, "format") == NULL || strcmp(value_of(text, "format"), "1") != 0)
        fail("the description of the library cannot be read", root);
    share = joined(root, "/share/", "julia");
    if (strstr(share, SEPARATOR) != NULL)
        fail("the path contains `" SEPARATOR "`, which separates the entries of Julia's depot path", root);

    place = joined(text, "", "");
    while ((described = next_value(&place, "preload")) != NULL)
        opened(joined(root, "/", described));
    julia = opened(joined(root, "/", library));
    if (julia == NULL)
        fail("cannot open", joined(root, "/", library));
    address = symbol(julia, "jl_is_initialized");
    memcpy(&is_initialized, &address, sizeof is_initialized);
    if (address != NULL && is_initialized())
        return;

    rest = parse_options(text, argc, argv, &left);
    depot = depots(stem, share);
    for (index = 0; index < 3; index++)
        before[index] = variable(changed[index]);
    set_variable(changed[0], depot);
    set_variable(changed[1], share);
    set_variable(changed[2], NULL);
    address = NULL;
    for (index = 0; index < 3 && address == NULL; index++)
        address = symbol(julia, starts[index]);
    if (address == NULL)
        fail("the libjulia of this library has no function", starts[0]);
    memcpy(&start, &address, sizeof start);
    start(joined(root, "/", JULIA_BINDIR), path);
    for (index = 0; index < 3; index++)
        set_variable(changed[index], before[index]);

    set_arguments(rest, left);
    address = function("jl_unbox_int32");
    memcpy(&unbox, &address, sizeof unbox);
    place = joined(text, "", "");
    while ((described = next_value(&place, "init")) != NULL) {
        void *value = called("run", described);
        if (value == NULL || unbox(value) != 0)
            fail("a function that this library calls when it starts failed", NULL);
    }
}

EXPORT void shutdown_julia(int retcode)
{
    void *address;
    void (*at_exit)(int);
    if (julia == NULL)
        return;
    address = function("jl_atexit_hook");
    memcpy(&at_exit, &address, sizeof at_exit);
    at_exit(retcode);
}
