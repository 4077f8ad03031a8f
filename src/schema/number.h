/*
 * schema/number.h: JSON numbers as the numbers that they are: 1, 1.0 and 1e0 are one, and 0.3 is a multiple
 * of 0.1.
 *
 * An integer of jansson's is exact; a real is taken as the shortest decimal that reads back as the same
 * double, which is what was written as long as that had at most 15 digits.
 */
#ifndef DISPATCH_SCHEMA_NUMBER_H
#define DISPATCH_SCHEMA_NUMBER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* digits * 10^exponent without sign; digits has no zero at its end, and is 0 for zero. */
struct decimal {
        uint64_t digits;
        int exponent;
};
struct decimal number_decimal(const json_t *number);

/* Less than 0, 0 or greater, exactly. */
int number_compare(const json_t *a, const json_t *b);
/* No fraction. */
bool number_is_whole(const json_t *number);
/* A whole number of at least 0, as large as it may be; false: it is none. */
bool number_to_count(const json_t *number, uint64_t *ret);
/* divisor.digits is not 0. */
bool number_is_multiple(const json_t *number, struct decimal divisor);
/* The same for numbers that are equal. */
uint64_t number_hash(const json_t *number);

#endif
