/* CRC-32 of the event, as a WASI command in C that also imports four functions of the host module "flagbase". */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define IMPORT(name) __attribute__((import_module("flagbase"), import_name(name)))

IMPORT("get_trace_id") uint32_t get_trace_id(char *out, uint32_t len);
IMPORT("metrics_publish") uint32_t metrics_publish(const char *name, uint32_t name_len, double value, const char *tags, uint32_t tags_len);
IMPORT("flag_eval") uint32_t flag_eval(const char *key, uint32_t key_len);
IMPORT("error_read") uint32_t error_read(char *out, uint32_t len);

static uint32_t update(uint32_t crc, const unsigned char *p, size_t n) {
    while (n--) {
        crc ^= *p++;
        for (int i = 0; i < 8; i++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
    }
    return crc;
}

int main(void) {
    unsigned char chunk[4096];
    uint32_t crc = 0xFFFFFFFFu;
    size_t n, total = 0;
    while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0) {
        crc = update(crc, chunk, n);
        total += n;
    }
    crc ^= 0xFFFFFFFFu;

    char message[256];
    const char *flag = "uppercase-checksum";
    uint32_t upper = flag_eval(flag, strlen(flag));
    if (upper == 0xFFFFFFFFu) { /* nobody made the flag: say so in the log and go on */
        uint32_t len = error_read(message, sizeof message);
        fprintf(stderr, "%.*s\n", (int)len, message);
        upper = 0;
    }
    const char *metric = "checksummed_bytes", *tags = "{\"language\":\"c\"}";
    if (metrics_publish(metric, strlen(metric), (double)total, tags, strlen(tags)) != 1) {
        uint32_t len = error_read(message, sizeof message);
        fprintf(stderr, "error: %.*s\n", (int)len, message);
        return 1;
    }
    char trace[33] = {0};
    get_trace_id(trace, 32);
    printf(upper ? "%08X %s\n" : "%08x %s\n", (unsigned)crc, trace);
    return 0;
}
