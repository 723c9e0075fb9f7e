"""Confirming against Docker's DNS that addresses are still their tasks', while the plan may be out of date.

question   what may be asked and answered            pure
verdict    answers in, who is to be denied out       pure
doubt      when there is reason to ask               pure
resolver   questions over UDP                        shell
loop       the rounds, in a thread of their own      shell
desk       the worker's side of it                   shell
"""
