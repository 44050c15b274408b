/* sleep(), usleep() and their kin, which in a task park it. */
#include "fibers.h"

#include <math.h>
#include <sys/time.h>

static zif_handler stock_sleep;
static zif_handler stock_usleep;
static zif_handler stock_nanosleep;
static zif_handler stock_sleep_until;

/* Parks for so long; whether the time is over. */
static bool rest(int64_t nanoseconds)
{
	ss_patience patience = {nanoseconds, 0};

	return ss_await_descriptor(-1, &patience) == SS_TOO_LATE;
}

static int64_t of_seconds(double seconds)
{
	return seconds >= 9e9 ? -1 : (int64_t) (seconds * 1e9);
}

/* In a task that is being ended nothing sleeps: `fail` returns what the function's type allows. */
#define OR_STOCK(stock, fail) \
	do { \
		enum ss_manner manner = ss_manner_now(); \
		if (manner == SS_FAILS) { \
			fail; \
		} \
		if (manner == SS_BLOCKS) { \
			stock(INTERNAL_FUNCTION_PARAM_PASSTHRU); \
			return; \
		} \
	} while (0)

static ZEND_NAMED_FUNCTION(sleep_)
{
	zend_long seconds;

	OR_STOCK(stock_sleep, RETURN_LONG(0));
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_LONG(seconds)
	ZEND_PARSE_PARAMETERS_END();
	if (seconds < 0) {
		zend_argument_value_error(1, "must be greater than or equal to 0");
		RETURN_THROWS();
	}
	rest(of_seconds((double) seconds));
	RETURN_LONG(0);
}

static ZEND_NAMED_FUNCTION(usleep_)
{
	zend_long microseconds;

	OR_STOCK(stock_usleep, return);
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_LONG(microseconds)
	ZEND_PARSE_PARAMETERS_END();
	if (microseconds < 0) {
		zend_argument_value_error(1, "must be greater than or equal to 0");
		RETURN_THROWS();
	}
	rest(of_seconds((double) microseconds / 1e6));
}

static ZEND_NAMED_FUNCTION(nanosleep_)
{
	zend_long seconds, nanoseconds;

	OR_STOCK(stock_nanosleep, RETURN_FALSE);
	ZEND_PARSE_PARAMETERS_START(2, 2)
		Z_PARAM_LONG(seconds)
		Z_PARAM_LONG(nanoseconds)
	ZEND_PARSE_PARAMETERS_END();
	if (seconds < 0 || nanoseconds < 0) {
		zend_argument_value_error(seconds < 0 ? 1 : 2, "must be greater than or equal to 0");
		RETURN_THROWS();
	}
	if (nanoseconds > 999999999) {
		zend_value_error("nanoseconds was not in the range 0 to 999 999 999 or seconds was negative");
		RETURN_THROWS();
	}
	int64_t whole = of_seconds((double) seconds);
	RETURN_BOOL(rest(whole < 0 ? whole : whole + nanoseconds));
}

static ZEND_NAMED_FUNCTION(sleep_until_)
{
	double until;
	struct timeval now;

	OR_STOCK(stock_sleep_until, RETURN_FALSE);
	ZEND_PARSE_PARAMETERS_START(1, 1)
		Z_PARAM_DOUBLE(until)
	ZEND_PARSE_PARAMETERS_END();
	gettimeofday(&now, NULL);
	double left = until - ((double) now.tv_sec + (double) now.tv_usec / 1e6);
	if (!(left > 0.0)) {
		php_error_docref(NULL, E_WARNING, "Argument #1 ($timestamp) must be greater than or equal to the current time");
		RETURN_FALSE;
	}
	RETURN_BOOL(rest(of_seconds(left)));
}

void ss_sleeping_begin(void)
{
	stock_sleep = ss_take_over("sleep", sleep_);
	stock_usleep = ss_take_over("usleep", usleep_);
	stock_nanosleep = ss_take_over("time_nanosleep", nanosleep_);
	stock_sleep_until = ss_take_over("time_sleep_until", sleep_until_);
}

void ss_sleeping_end(void)
{
	ss_give_back("sleep", stock_sleep);
	ss_give_back("usleep", stock_usleep);
	ss_give_back("time_nanosleep", stock_nanosleep);
	ss_give_back("time_sleep_until", stock_sleep_until);
}
