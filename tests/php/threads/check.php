<?php
// What is to hold in a request beside others in one process; what does not ends it.
error_reporting(E_ALL);

function check(bool $holds, string $what): void
{
    if (!$holds) {
        echo $what, "\n";
        exit(1);
    }
}
