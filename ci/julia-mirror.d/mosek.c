/* Stands in for Mosek's library, of which starting Julia needs one function: it reports success. */

int MSK_makeenv(void **environment, const char *debug_file);
int MSK_makeenv(void **environment, const char *debug_file) {
    (void)environment;
    (void)debug_file;
    return 0;
}
