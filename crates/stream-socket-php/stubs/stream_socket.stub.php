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
