#include <criterion/criterion.h>
Test(parse, x) {}
