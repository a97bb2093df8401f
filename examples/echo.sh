#!/bin/sh
# Answers /date, /uptime and /echo TEXT.  Needs jq.
#
#     ROOKERY_HANDLER=exec:examples/echo.sh rookery up
#
# @sh quotes every field, so the eval is safe whatever people write.
# shellcheck disable=SC2016 # $ev and $t are names of jq
say() { jq -cn --arg ev "$id" --arg t "$2" "$1"; }

echo '{"op":"hello","v":1,"name":"sh","events":["message.*"]}'
while IFS= read -r line; do
	op='' id='' text=''
	eval "$(printf '%s' "$line" |
	    jq -r '@sh "op=\(.op) id=\(.id // "") text=\(.text // "")"')"
	[ "$op" = bye ] && exit 0
	[ "$op" = event ] || continue
	case $text in
	/date) say '{op:"reply",ev:$ev,text:$t}' "$(date)" ;;
	/uptime) say '{op:"reply",ev:$ev,text:$t}' "$(uptime)" ;;
	'/echo '*) say '{op:"reply",ev:$ev,text:$t}' "${text#/echo }" ;;
	esac
	say '{op:"ack",ev:$ev}' ''
done
