/* The program of the row `spawn`: prints a line and ends. Built twice, static and dynamic. */
#include <unistd.h>

int main(void) {
    static const char line[] = "The local time is 11/22/2026 10:06 pm\n";
    return write(1, line, sizeof line - 1) == (ssize_t)(sizeof line - 1) ? 0 : 1;
}
