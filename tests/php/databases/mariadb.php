<?php
// MariaDB over TLS, as PHP's own drivers begin it: a server of the script's own, with neither tables
// nor users.
require __DIR__ . '/../report.php';
require __DIR__ . '/../certificate.php';
mysqli_report(MYSQLI_REPORT_OFF);

$root = issue('Root');
$identity = issue('db.test', $root, 'usr_cert')['file'];
$authority = holding($root['text']);
$folder = sys_get_temp_dir() . '/stream_socket_test.' . getmypid();
mkdir("$folder/data", recursive: true);
// Below those that connections come from, of which other tests make thousands.
for ($port = 20_000 + getmypid() % 12_000; !$taken = @stream_socket_server("tcp://127.0.0.1:$port"); $port++) {
}
fclose($taken);
$words = [
    // Debian has it where only root looks for programs.
    is_file('/usr/sbin/mariadbd') ? '/usr/sbin/mariadbd' : 'mariadbd', '--no-defaults', '--skip-grant-tables',
    '--skip-networking=0', '--bind-address=127.0.0.1', "--port=$port", "--datadir=$folder/data", "--socket=$folder/socket",
    '--user=' . posix_getpwuid(posix_geteuid())['name'], '--skip-innodb', '--default-storage-engine=MyISAM',
    "--ssl-cert=$identity", "--ssl-key=$identity", "--ssl-ca=$authority",
];
$server = proc_open($words, [['file', '/dev/null', 'r'], ['file', "$folder/log", 'w'], ['file', "$folder/log", 'w']], $pipes);
register_shutdown_function(function () use ($server, $folder) {
    proc_terminate($server, SIGKILL);
    proc_close($server);
    exec('rm -r ' . escapeshellarg($folder));
});
for ($i = 0; !file_exists("$folder/socket"); $i++) {
    if ($i === 3000 || !proc_get_status($server)['running']) {
        exit("MariaDB does not start:\n" . file_get_contents("$folder/log"));
    }
    usleep(10_000);
}

say('mysqli');
foreach ([MYSQLI_CLIENT_SSL_DONT_VERIFY_SERVER_CERT, 0] as $flag) {
    $client = mysqli_init();
    $client->ssl_set(null, null, $authority, null, null);
    if ($client->real_connect('127.0.0.1', 'root', '', '', $port, null, MYSQLI_CLIENT_SSL | $flag)) {
        say($client->query("SHOW STATUS LIKE 'Ssl_version'")->fetch_row()[1]);
        say(strlen($client->query("SELECT REPEAT('x', 3000000)")->fetch_row()[0]));
        say((int) $client->query("SELECT LENGTH('" . str_repeat('x', 3_000_000) . "')")->fetch_row()[0]);
    }
}

say('PDO');
$options = [PDO::MYSQL_ATTR_SSL_CA => $authority, PDO::MYSQL_ATTR_SSL_VERIFY_SERVER_CERT => false];
$client = attempt(fn () => new PDO("mysql:host=127.0.0.1;port=$port", 'root', '', $options));
say($client?->query("SHOW STATUS LIKE 'Ssl_cipher'")->fetchColumn(1));
