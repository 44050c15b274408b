<?php
// Bytes both ways, and every way to read them.
require __DIR__ . '/../report.php';
[$client, $served, $listener] = connected();
say(stream_socket_get_name($client, false) === stream_socket_get_name($served, true));
say(stream_socket_get_name($listener, true), stream_socket_get_name($listener, false));
say(fwrite($served, "one\ntwo\n\nrest;more;"), fgets($client), fgets($client, 3), fgets($client));
say(fgets($client), stream_get_line($client, 100, ';'), stream_get_line($client, 2), fgetc($client));
say(feof($client), ftell($client), stream_get_line($client, 100, ';'));
stream_set_blocking($client, false);
say(fread($client, 10), fgets($client), feof($client), stream_get_line($client, 10, "\n"));
stream_set_blocking($client, true);
stream_set_timeout($client, 0, 100000);
say(fread($client, 10), stream_get_meta_data($client)['timed_out'], fgets($client), feof($client));
fwrite($served, str_repeat('x', 20000));
usleep(50000);
say(strlen(fread($client, 20000)), strlen(fread($client, 20000)), strlen(fread($client, 20000)));
say(stream_set_chunk_size($client, 100), stream_set_read_buffer($client, 0));
say(stream_set_write_buffer($client, 0), fflush($client), ftruncate($client, 1), fseek($client, 1));
fwrite($served, 'tail');
say(stream_socket_shutdown($served, STREAM_SHUT_WR), stream_get_contents($client), feof($client));
fwrite($client, 'answer');
say(fread($served, 100));
fclose($client);
say(feof($served), fread($served, 10), feof($served), stream_socket_get_name($served, true) !== false);
