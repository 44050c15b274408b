<?php

/**
 * What the extension adds to PHP's stream functions, for editors. All others keep their signatures.
 */

/**
 * Reads a line, as fgets does, without its HTML and PHP tags.
 *
 * Tags may go on from line to line. What is left of all lines is what strip_tags leaves of the whole
 * text.
 *
 * @param resource $stream
 * @param int|null $length at most $length - 1 bytes are read
 * @param string|null $allowed_tags tags to keep, as in "<a><b>"
 */
function fgetss($stream, ?int $length = null, ?string $allowed_tags = null): string|false {}

/**
 * Accepts from servers, and runs the handler for each connection in a Fiber of its own, in which what
 * would block suspends that Fiber alone.
 *
 * Returns when it is stopped: by stream_socket_serve_stop(), SIGTERM, SIGINT, or its limit. See
 * docs/php-concurrency.md for the options.
 *
 * @param resource|resource[] $servers
 * @param callable(resource, string): mixed $handler is given the connection and the peer's name
 * @param array{max_connections?: int, limit?: int, drain?: int|float, idle_timeout?: int|float,
 *     read_timeout?: int|float, write_timeout?: int|float, on_error?: callable(Throwable, string): mixed,
 *     workers?: int} $options
 * @return array<string, int> its counters
 */
function stream_socket_serve($servers, callable $handler, array $options = []): array {}

/** Has every stream_socket_serve() of this process accept no more, and return when its handlers are done. */
function stream_socket_serve_stop(): void {}

/** Begins a task in a Fiber of its own, when the running one next waits. */
function stream_socket_spawn(callable $task, mixed ...$arguments): Fiber {}

/**
 * Waits until a task of stream_socket_spawn() is done.
 *
 * @return mixed what it returned; what it threw is thrown
 */
function stream_socket_join(Fiber $fiber): mixed {}

/**
 * A stream that is readable when stream_socket_loop_run() has something to do, for a loop of the
 * script's own.
 *
 * @return resource|false
 */
function stream_socket_loop_fd() {}

/** Goes on with the tasks that can, without waiting. */
function stream_socket_loop_run(): void {}
