/* schema/number.c: see number.h. */
#include "schema/number.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Every int64 and every double is one of these. */
_Static_assert(LDBL_MANT_DIG >= 64, "numbers are compared as long double");

__extension__ typedef unsigned __int128 wide;

static long double value_of(const json_t *number)
{
        return json_is_integer(number) ? (long double)json_integer_value(number)
                                       : (long double)json_real_value(number);
}

static struct decimal normal(uint64_t digits, int exponent)
{
        if (digits == 0)
                return (struct decimal){0, 0};
        while (digits % 10 == 0) {
                digits /= 10;
                exponent++;
        }
        return (struct decimal){digits, exponent};
}

/* "d.ddde+XX": the shortest that reads back as the same. */
static void shortest(double value, char *text, size_t size)
{
        for (int digits = 14; digits <= 16; digits++) {
                snprintf(text, size, "%.*e", digits, value);
                if (strtod(text, NULL) == value)
                        return;
        }
}

struct decimal number_decimal(const json_t *number)
{
        char text[48];
        uint64_t digits = 0;
        int fraction = 0;
        bool behind = false;

        if (json_is_integer(number)) {
                json_int_t value = json_integer_value(number);
                return normal(value < 0 ? -(uint64_t)value : (uint64_t)value, 0);
        }
        shortest(fabs(json_real_value(number)), text, sizeof(text));
        const char *p = text;
        for (; *p != 'e' && *p != '\0'; p++) {
                if (*p >= '0' && *p <= '9') {
                        digits = digits * 10 + (uint64_t)(*p - '0');
                        fraction += behind;
                } else {
                        behind = true; /* a point, or what the locale has for it */
                }
        }
        return normal(digits, (int)strtol(*p == 'e' ? p + 1 : "0", NULL, 10) - fraction);
}

int number_compare(const json_t *a, const json_t *b)
{
        long double left = value_of(a), right = value_of(b);

        return left < right ? -1 : left > right;
}

bool number_is_whole(const json_t *number)
{
        double value = json_real_value(number);

        return json_is_integer(number) || (json_is_real(number) && floor(value) == value);
}

bool number_to_count(const json_t *number, uint64_t *ret)
{
        long double value = value_of(number);

        if (!json_is_number(number) || !number_is_whole(number) || value < 0)
                return false;
        *ret = value >= 0x1p63L ? UINT64_MAX : (uint64_t)value;
        return true;
}

static uint64_t power_mod(unsigned exponent, uint64_t modulus)
{
        wide result = 1 % modulus, base = 10 % modulus;

        for (; exponent > 0; exponent >>= 1) {
                if ((exponent & 1) != 0)
                        result = result * base % modulus;
                base = base * base % modulus;
        }
        return (uint64_t)result;
}

bool number_is_multiple(const json_t *number, struct decimal divisor)
{
        struct decimal value = number_decimal(number);
        int shift = value.exponent - divisor.exponent;
        wide product = divisor.digits;

        if (value.digits == 0)
                return true;
        if (shift >= 0)
                return (wide)value.digits * power_mod((unsigned)shift, divisor.digits) % divisor.digits == 0;
        for (; shift < 0; shift++) {
                product *= 10;
                if (product > value.digits)
                        return false;
        }
        return value.digits % (uint64_t)product == 0;
}

uint64_t number_hash(const json_t *number)
{
        long double value = value_of(number);
        double rounded = (double)value;
        uint64_t bits;

        if (value >= -0x1p63L && value < 0x1p63L && floorl(value) == value)
                return (uint64_t)(int64_t)value;
        memcpy(&bits, &rounded, sizeof(bits));
        return bits;
}
