<?php
// Clients by a seed, each a process, on stock PHP: php clients.php ADDRESS SEED COUNT one|many. Each
// says what it has to say in pieces with pauses in between; some are gone in the middle. Says what
// each was told.
[, $address, $seed, $count, $how] = $argv;

function text(): string
{
    for ($text = '', $lines = mt_rand(0, 40); $lines > 0; $lines--) {
        for ($words = mt_rand(0, 12); $words > 0; $words--) {
            $text .= substr(md5((string) mt_rand()), 0, mt_rand(1, 30)) . ' ';
        }
        $text .= "\n";
    }
    return $text . (mt_rand(0, 3) ? '' : 'no end of line');
}

function dialogue(string $address, int $seed): string
{
    mt_srand($seed);
    $text = text();
    $is_reset = mt_rand(0, 5) === 0;
    $client = stream_socket_client("tcp://$address", $errno, $error, 60);
    stream_set_timeout($client, 60);
    for ($sent = 0; $sent < strlen($text); $sent += $length) {
        $length = mt_rand(1, mt_rand(0, 1) ? 10 : 2000);
        fwrite($client, substr($text, $sent, $length));
        if (mt_rand(0, 2) === 0) {
            usleep(mt_rand(1, 2000));
        }
        if ($is_reset && mt_rand(0, 9) === 0) {
            // With what it was told unread, which resets.
            return 'gone';
        }
    }
    stream_socket_shutdown($client, STREAM_SHUT_WR);
    $told = stream_get_contents($client);
    $is_over = feof($client) && !stream_get_meta_data($client)['timed_out'];
    return strlen($told) . ' ' . md5($told) . ($is_over ? '' : ' unfinished');
}

$folder = sys_get_temp_dir() . '/stream_socket_' . getmypid();
mkdir($folder);
for ($number = 0, $running = 0; $number < $count; $number++, $running++) {
    if ($running === ($how === 'one' ? 1 : 100)) {
        pcntl_wait($status);
        $running--;
    }
    if (pcntl_fork() === 0) {
        file_put_contents("$folder/$number", dialogue($address, $seed * 10000 + $number));
        exit(0);
    }
}
while (pcntl_wait($status) > 0);
for ($number = 0; $number < $count; $number++) {
    echo "$number: ", @file_get_contents("$folder/$number"), "\n";
    @unlink("$folder/$number");
}
rmdir($folder);
